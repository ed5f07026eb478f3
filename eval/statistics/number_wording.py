"""How figures are written in sentences for people: .612, −.004, p < .001, rose from .500 to .600."""

from __future__ import annotations

from eval.statistics.significance import PairedComparison


def describe_change(figures: PairedComparison) -> str:
    """What became of the mean: "rose from .500 to .600"."""
    before, after = format_number(figures.mean_current), format_number(figures.mean_candidate)
    if before == after:
        return f"stayed at {before}"
    return f"{'rose' if figures.difference > 0 else 'fell'} from {before} to {after}"


def describe_test(figures: PairedComparison) -> str:
    """The difference with its interval and p."""
    return f"{format_signed(figures.difference)}, {interval(figures)}, {describe_p(figures.p)}"


def interval(figures: PairedComparison) -> str:
    """The 95 % interval of the difference."""
    return f"95 % interval {format_number(figures.low)} to {format_number(figures.high)}"


def describe_p(p: float) -> str:
    """
    >>> describe_p(0.0004), describe_p(0.04)
    ('p < .001', 'p = .040')
    """
    return "p < .001" if p < 0.001 else f"p = {format_number(p)}"


def format_p(p: float) -> str:
    """Formats a p-value for a column of its own.

    >>> format_p(0.0004), format_p(0.04)
    ('< .001', '.040')
    """
    return describe_p(p).removeprefix("p ").removeprefix("= ")


def measure_name(measure: str) -> str:
    """A measure of ir-measures for people.

    >>> measure_name("nDCG(judged_only=True)@10"), measure_name("R@5")
    ('nDCG@10, judged only', 'recall@5')
    """
    if "(judged_only=True)" in measure:
        return measure.replace("(judged_only=True)", "") + ", judged only"
    return measure.replace("R@", "recall@") if measure.startswith("R@") else measure


def format_number(value: float) -> str:
    """Three decimals without the leading zero, as such tables are printed.

    >>> format_number(0.6124), format_number(-0.004), format_number(1.0)
    ('.612', '−.004', '1.000')
    """
    digits = f"{abs(value):.3f}"
    digits = digits[1:] if digits.startswith("0.") else digits
    return f"−{digits}" if value < 0 and digits != ".000" else digits


def format_signed(value: float) -> str:
    """Formats a number with a plus sign if it is above 0.

    >>> format_signed(0.0461), format_signed(-0.004)
    ('+.046', '−.004')
    """
    return f"+{format_number(value)}" if value > 0 else format_number(value)
