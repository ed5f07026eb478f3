"""A night at full size: a made-up library with judgments in a real state directory, and how long a night on it takes.

The secret that the votes hold: passages call every product by its code name, questions by what it is. All else is said
in synonyms, which a base knows. So there is something that a map can learn and the gate can see.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, product

import numpy as np

from rag.app.app import App
from rag.arrays import FloatArray
from rag.database.sql_batches import batched
from rag.embedding.passage_vectors import store_vectors
from rag.records import Document, Passage, ShownPassage, Turn, Verdict, sha256_of
from retriever_training.bench.harness.subprocess_run import peak_memory_gib
from retriever_training.nightly.run_night import run_night
from retriever_training.progress import ProgressReporter
from retriever_training.tiers.night_plan import NightPlan

PRODUCTS = (
    "printer",
    "coffee machine",
    "lawn mower",
    "dishwasher",
    "vacuum cleaner",
    "bicycle",
    "projector",
    "air conditioner",
    "washing machine",
    "water heater",
    "sewing machine",
    "toaster",
    "microscope",
    "telescope",
    "camera",
    "drone",
    "treadmill",
    "piano",
    "hearing aid",
    "thermostat",
    "doorbell",
    "router",
    "keyboard",
    "loudspeaker",
    "refrigerator",
    "microwave oven",
    "wheelchair",
    "typewriter",
    "hair dryer",
    "chainsaw",
    "violin",
    "aquarium",
    "sailing boat",
    "tractor",
    "elevator",
    "turntable",
    "wrist watch",
    "smoke detector",
    "garage door",
    "electric guitar",
    "blender",
    "scanner",
    "rowing machine",
    "tent",
    "stroller",
    "solar panel",
    "radio",
    "humidifier",
    "motorcycle",
    "freezer",
)
ACTIONS: Mapping[str, str] = {
    "clean": "rinse",
    "replace": "swap",
    "open": "unlatch",
    "oil": "lubricate",
    "test": "verify",
    "tighten": "fasten",
    "remove": "detach",
    "adjust": "calibrate",
    "store": "put away",
    "repair": "mend",
}
PARTS: Mapping[str, str] = {
    "filter": "strainer",
    "lamp": "light bulb",
    "battery": "power cell",
    "lid": "cover",
    "hose": "tube",
    "screen": "display",
    "wheel": "caster",
    "plug": "connector",
    "handle": "grip",
    "fan": "blower",
}
SERIES = (
    "Alba",
    "Boreal",
    "Cirrus",
    "Delta",
    "Ember",
    "Fjord",
    "Glade",
    "Harbor",
    "Iris",
    "Juniper",
    "Krypton",
    "Lagoon",
    "Meadow",
    "Nimbus",
    "Orchid",
    "Prairie",
    "Quartz",
    "Ridge",
    "Summit",
    "Tundra",
)
MAX_PASSAGES = len(PRODUCTS) * len(ACTIONS) * len(PARTS) * len(SERIES)

FILLER_WORDS = 48  # of a passage, by Zipf's law, so that it is as long as passages are
NOISE = 0.4  # length of what sets a made-up vector apart from what its words say
N_SHOWN = 5
BATCH_SIZE = 2_000
VOTES_PER_PERSON = 400  # of one person: nobody is taken for a flood, nor over their share
FIRST_VOTE_AT = datetime(2026, 1, 1, 8, tzinfo=UTC)
LIMIT_S: Mapping[int, float] = {1: 180.0, 2: 600.0}
"""tier → seconds that a night may take on two cores: 10,000 judgments for tier 1, 5,000 for tier 2, 100,000 passages."""

ProductKey = tuple[int, int, int, int]  # product, series, action, part


@dataclass(frozen=True, slots=True)
class StageTime:
    """What the night told of, and what passed until it told of the next one."""

    name: str
    seconds: float
    cpu_s: float
    """The processor's time for it: what tells more if others use the machine as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BigNight:
    """One night, start to decision."""

    decision: str
    reason: str
    tier: int
    seconds: float
    cpu_s: float
    stages: tuple[StageTime, ...]
    n_judgments: int
    peak_gib: float
    """Of the night's process: libraries, library, training and measuring."""
    n_threads: int

    @property
    def is_in_time(self) -> bool:
        """Whether it ended within LIMIT_S."""
        return self.seconds <= LIMIT_S[self.tier]


# ---- a library and its judgments


def fill_library(app: App, n_passages: int, n_judgments: int, seed: int, watch: ProgressReporter) -> None:
    """Puts *n_passages* made-up passages with vectors into the library, and *n_judgments* pins of the right ones.

    No passage is encoded: its vector is the sum of what the base makes of the phrases it is put together from, and noise.
    That is the work of ingest, and a night finds it done; so it finds BM25 compiled. Questions are left for the night.
    """
    keys = _keys(n_passages, seed)
    codes = code_names(len(PRODUCTS), seed)
    base = app.current()
    of_phrase = _phrases(app, codes)
    advance = watch("make up the library", len(keys))
    for batch in batched(keys, BATCH_SIZE):
        made = [_document(key, codes, filler) for key, filler in zip(batch, _fillers(batch, seed), strict=True)]
        app.library.put_all(made)
        names = [passages[0].text_sha256 for _, passages in made]
        store_vectors(app.engine, base.passage_side, names, _vectors(batch, of_phrase, seed))
        advance(len(batch))
    app.library.bump_vectors_revision()
    app.lexical()
    _judge(app, keys, n_judgments, seed, watch)


def code_names(n: int, seed: int) -> list[str]:
    """*n* different names that mean nothing.

    >>> code_names(2, 13) == code_names(2, 13) and len(set(code_names(50, 13))) == 50
    True
    """
    draw = random.Random(seed)  # noqa: S311 (a benchmark's words, no secret)
    names: dict[str, None] = {}
    while len(names) < n:
        syllables = [draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(3)]
        names["".join(syllables).capitalize() + draw.choice("lnrxs")] = None
    return list(names)


def made_up_question(key: ProductKey) -> str:
    """What somebody asks who knows no code name.

    >>> made_up_question((0, 0, 0, 0))
    'How do I clean the filter of the Alba printer?'
    """
    product_, series, action, part = key
    return f"How do I {list(ACTIONS)[action]} the {list(PARTS)[part]} of the {SERIES[series]} {PRODUCTS[product_]}?"


def _keys(n: int, seed: int) -> list[ProductKey]:
    """*n* different things to ask, each with one passage that answers it."""
    every = list(product(range(len(PRODUCTS)), range(len(SERIES)), range(len(ACTIONS)), range(len(PARTS))))
    return [every[row] for row in np.random.default_rng(seed).permutation(len(every))[:n]]


def _fillers(keys: Sequence[ProductKey], seed: int) -> Iterator[str]:
    """For each passage the words that say nothing, by Zipf's law, the same ones for the same key."""
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(50_000)))
    words = [f"w{rank}" for rank in range(50_000)]
    for key in keys:
        draw = random.Random(f"{seed} {key}")  # noqa: S311 (a benchmark's words, no secret)
        yield " ".join(draw.choices(words, cum_weights=weights, k=FILLER_WORDS))


def _document(key: ProductKey, codes: Sequence[str], filler: str) -> tuple[Document, list[Passage]]:
    product_, series, action, part = key
    name = "-".join(map(str, key))
    said = f"{list(ACTIONS.values())[action].capitalize()} the {list(PARTS.values())[part]} of the"
    text = f"{said} {SERIES[series]} {codes[product_]}. {filler.capitalize()}."
    document = Document(
        document_id=f"d-{name}",
        source=f"made-up/{name}",
        title="",
        media_type="text/plain",
        sha256=sha256_of(text),
        text=text,
    )
    return document, [
        Passage(
            passage_id=f"p-{name}",
            document_id=document.document_id,
            source=document.source,
            title="",
            heading="",
            text=text,
            start=0,
            end=len(text),
            page=None,
            external_id=name,
        )
    ]


def _phrases(app: App, codes: Sequence[str]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The base's vectors of the code names, of the series, and of what is done to which part, row by row."""
    encoder = app.open_encoder(app.registry.base().encoder_id)
    done = [f"{action} the {part}" for action, part in product(ACTIONS.values(), PARTS.values())]
    codes_, series, tasks = (encoder.encode_queries(list(texts)) for texts in (codes, SERIES, done))
    return codes_, series, tasks


def _vectors(keys: Sequence[ProductKey], of_phrase: tuple[FloatArray, FloatArray, FloatArray], seed: int) -> FloatArray:
    codes, series, tasks = of_phrase
    rows = np.array(keys)
    rng = np.random.default_rng([seed, *map(int, rows[0])])
    summed = codes[rows[:, 0]] + series[rows[:, 1]] + tasks[rows[:, 2] * len(PARTS) + rows[:, 3]]
    dim = summed.shape[1]
    noisy = summed + rng.standard_normal(summed.shape, np.float32) * np.float32(NOISE / dim**0.5)
    return np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), np.float32)


def _judge(app: App, keys: Sequence[ProductKey], n: int, seed: int, watch: ProgressReporter) -> None:
    """One pin each for the first *n* questions, half a minute apart, by as many people as that takes."""
    rng = np.random.default_rng(seed)
    ids = [f"p-{'-'.join(map(str, key))}" for key in keys]
    advance = watch("make up the votes", n)
    for batch in batched(range(min(n, len(keys))), BATCH_SIZE):
        turns, verdicts = [], []
        for number in batch:
            at, user = FIRST_VOTE_AT + timedelta(seconds=30 * number), f"person-{number // VOTES_PER_PERSON:03d}"
            shown = tuple(
                ShownPassage(passage_id=ids[row], rank=rank, score=0.5, dense=0.5, lexical=0.0, cited=False)
                for rank, row in enumerate(rng.choice(len(ids), min(N_SHOWN, len(ids)), replace=False), 1)
            )
            question = made_up_question(keys[number])
            turns.append(
                Turn(
                    turn_id=f"t-{number}",
                    conversation_id=f"c-{number}",
                    user=user,
                    question=question,
                    answer="",
                    declined=False,
                    encoder_id="",
                    asked_at=at,
                    origin="simulated",
                    shown=shown,
                )
            )
            verdicts.append(
                Verdict(
                    user=user,
                    turn_id=f"t-{number}",
                    question=question,
                    passage_id=ids[number],
                    verdict="pin",
                    given_at=at,
                )
            )
        app.feedback.record_turns(turns)
        app.feedback.append(verdicts)
        advance(len(batch))


# ---- the night


class Stopwatch:
    """A Watch that notes when each stage begins, and passes on to another one."""

    def __init__(self, watch: ProgressReporter) -> None:
        self._watch = watch
        self._begun = [("read votes and library", *_clocks())]

    def __call__(self, stage: str, total: int) -> Callable[[int], None]:
        """Begins a stage."""
        self._begun.append((stage, *_clocks()))
        return self._watch(stage, total)

    def stages(self) -> tuple[StageTime, ...]:
        """Every stage, those of one name together, in the order of their first; the last one ends now."""
        ends = [*((at, cpu_at) for _, at, cpu_at in self._begun[1:]), _clocks()]
        summed: dict[str, tuple[float, float]] = {}
        for (name, at, cpu_at), (end, cpu_end) in zip(self._begun, ends, strict=True):
            seconds, cpu_s = summed.get(name, (0.0, 0.0))
            summed[name] = seconds + end - at, cpu_s + cpu_end - cpu_at
        return tuple(StageTime(name, round(seconds, 2), round(cpu_s, 2)) for name, (seconds, cpu_s) in summed.items())


def _clocks() -> tuple[float, float]:
    """Seconds on the wall, and of the processor."""
    return time.perf_counter(), time.process_time()


def time_night(app: App, plan: NightPlan, watch: ProgressReporter) -> BigNight:
    """Runs the night in this process, and tells what it took from its start to its decision."""
    import torch

    stopwatch = Stopwatch(watch)
    started, cpu_started = _clocks()
    summary = run_night(app.stores, plan, stopwatch)
    ended, cpu_ended = _clocks()
    assert summary.tier is not None, "the made-up judgments are enough for a night"
    return BigNight(
        decision=summary.decision,
        reason=summary.reasons[0],
        tier=summary.tier,
        seconds=round(ended - started, 1),
        cpu_s=round(cpu_ended - cpu_started, 1),
        stages=stopwatch.stages(),
        n_judgments=summary.n_judgments,
        peak_gib=round(peak_memory_gib(), 2),
        n_threads=torch.get_num_threads(),
    )
