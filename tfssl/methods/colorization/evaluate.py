"""How well a colorizer does on photographs it is shown in gray."""

import functools

from tfssl.color.predict import Colorizer
from tfssl.color.survey import measure, write_sheet
from tfssl.evaluation.record import method_record
from tfssl.methods.colorization.semantic import SemanticMeasures
from tfssl.options import check_temperature

__all__ = ["evaluate", "write_sheet"]


def evaluate(
    method, model, data, *, out=None, temperature=None, limit=None, compare=None, semantic=False, progress=None
):
    """Colorize photographs from their lightness and compare with their true colors.

    Args:
        method, model, data, out, limit, progress: see :meth:`tfssl.methods.base.Method.evaluate`; ``per_image.csv`` is
            written too.
        temperature: T of the annealed mean in (0, 1]; None is the method's. Compared models keep their own.
        compare: as :func:`tfssl.color.survey.measure`; on the command line sources, as RUN.
        semantic: also ask pretrained networks what they see in the predicted colors, beside true, gray and random ones,
            and try simple stimuli. Needs the extra ``pretrained``; what is not installed is left out, and said. Takes
            20 kB of memory an image; draws ``answers.png``, ``stimuli.png``, ``isoluminant.png``, ``temperature.png``.

    Returns:
        :class:`~tfssl.evaluation.record.Record` with the names of :func:`tfssl.color.survey.measure` (``prior`` is the
        method's smoothed one); with ``semantic`` also of
        :meth:`tfssl.methods.colorization.semantic.SemanticMeasures.result`.
    """
    temperature = method.temperature if temperature is None else temperature
    check_temperature(temperature)
    regression = method.objective == "regression"
    metrics, kinds, about = measure(
        Colorizer(method, model, {"": temperature}),
        data,
        prior=method.smoothed_prior(),
        title="ours" if regression else f"ours, T = {temperature:g}",
        out=out,
        limit=limit,
        compare=compare,
        more=functools.partial(SemanticMeasures, method, model) if semantic else None,
        progress=progress,
    )
    if not regression:
        metrics["temperature"] = float(temperature)
    record = method_record(method, metrics, kinds, **about)
    if out is not None:
        record.write(out)
    return record
