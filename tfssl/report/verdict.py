"""A difference in words, sign and color, so that none of them is needed alone."""

from tfssl.report.markup import Figure, plain, tag


def verdict(difference, better):
    """Markup of a gain or loss.

    Args:
        difference: the number less its baseline's; None if there is none.
        better: True or False; None if nobody can say.

    Returns:
        :class:`~tfssl.report.markup.Figure`.
    """
    if difference is None:
        return Figure(plain(None))
    sign = "+" if difference > 0 else "\N{MINUS SIGN}" if difference < 0 else "\N{PLUS-MINUS SIGN}"
    text = f"{sign}{plain(abs(difference))}"
    if better is None:
        return Figure(tag("span", text))
    word = "better" if better else "worse"
    return Figure(tag("span", f"{text} {word}", class_="up" if better else "down"))
