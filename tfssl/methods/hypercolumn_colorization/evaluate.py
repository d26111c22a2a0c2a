"""How well a colorizer with hypercolumns does on photographs it is shown in gray."""

from tfssl.color.predict import Colorizer
from tfssl.color.prior import load_prior
from tfssl.color.survey import measure, write_sheet
from tfssl.evaluation.record import method_record
from tfssl.options import check_temperature

__all__ = ["evaluate", "write_sheet"]


def evaluate(
    method,
    model,
    data,
    *,
    out=None,
    decoder=None,
    fading=None,
    temperature=None,
    limit=None,
    compare=None,
    progress=None,
):
    """Colorize photographs from their lightness and compare with their true colors.

    Args:
        method, model, data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`.
        compare: as :func:`tfssl.color.survey.measure`; on the command line sources, as RUN.
        decoder, fading, temperature: in place of the method's fields; None for these.

    Returns:
        :class:`~tfssl.evaluation.record.Record` with the names of :func:`tfssl.color.survey.measure`, among them
        ``rmse_ab`` (in ab units, not the paper's scaled space); ``prior`` is that of ImageNet.
    """
    check_temperature(temperature)
    given = {"decoder": decoder, "fading": fading, "temperature": temperature}
    method = type(method)(**method.model_dump() | {name: value for name, value in given.items() if value is not None})
    metrics, kinds, about = measure(
        Colorizer(method, model, {"": method.temperature}),
        data,
        prior=load_prior("imagenet"),
        title="ours",
        out=out,
        limit=limit,
        compare=compare,
        progress=progress,
    )
    if method.target == "hue_chroma":
        metrics["fading"] = float(method.fading)
    record = method_record(method, metrics, kinds, **about)
    if out is not None:
        record.write(out)
    return record
