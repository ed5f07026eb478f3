"""What people can look at: what their votes did, and which negatives a night would train on."""
