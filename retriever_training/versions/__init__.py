"""The nights and the versions they made: records in SQL, refused candidates, and views for mining."""
