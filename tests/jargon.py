"""A small library with a secret: every product goes by a code name that its users do not say.

A question names the product in plain words, its passage by the code name only. The base encoder can't know that
the printer is the Zorvex; verdicts can teach it, and what they teach holds for passages nobody has judged yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from rag.assemble import App
from rag.records import Document, Passage, Turn, Verdict, now

PRODUCTS = {
    "printer": "Zorvex", "coffee machine": "Quillon", "lawn mower": "Brandeth", "dishwasher": "Mirelle",
    "vacuum cleaner": "Tassimund", "electric bicycle": "Okhra", "projector": "Lunveil", "air conditioner": "Fendrick",
    "washing machine": "Palovar", "water heater": "Gristan", "sewing machine": "Ellowen", "toaster": "Draskel",
    "microscope": "Havenor", "telescope": "Siorix", "camera": "Wendrath", "drone": "Yamora",
    "treadmill": "Corbasse", "piano": "Ildrun", "hearing aid": "Novask", "thermostat": "Belquist",
    "doorbell": "Rhyme-9", "router": "Ashgrove", "keyboard": "Umbrant", "loudspeaker": "Castrel",
}  # fmt: skip
TASKS = {
    "How do I clean the filter of my {}?": "{}: take the filter out, rinse it under warm water and let it dry overnight.",
    "What does the red light on the {} mean?": "{}: a red light means that the unit has overheated and must cool down.",
    "Can I get a refund for a broken {}?": "{}: faulty units are refunded in full within thirty days of purchase.",
    "Where is the serial number of the {}?": "{}: the serial number is printed on a silver label below the base.",
    "How long is the warranty of the {}?": "{}: the warranty lasts three years and covers parts as well as labour.",
    "Why is my {} so noisy at night?": "{}: noise comes from a worn bearing, which a technician replaces in minutes.",
    "How much power does the {} use?": "{}: it draws ninety watts when running and less than one watt when idle.",
    "Who repairs the {} near me?": "{}: authorised workshops are listed on the service page, by postal code.",
    "How do I reset the {} to factory settings?": "{}: hold both buttons for ten seconds until the display goes dark.",
    "Is there a manual for the {} in French?": "{}: manuals in eleven languages can be downloaded from the archive.",
    "How do I connect the {} to the internet?": "{}: choose the wireless network in the menu and type its password.",
    "What should I do if the {} leaks?": "{}: switch it off, wipe up the liquid and check the rubber seal for cracks.",
}  # fmt: skip


def library() -> list[tuple[Document, list[Passage]]]:
    """One document a passage; the external id is `<product>/<number of the task>`."""
    return [
        _document(f"{product}/{number}", answer.format(code))
        for product, code in PRODUCTS.items()
        for number, answer in enumerate(TASKS.values())
    ]


def questions() -> dict[str, str]:
    """question → external id of its right passage."""
    return {task.format(product): f"{product}/{number}" for product in PRODUCTS for number, task in enumerate(TASKS)}


def vote(app: App, right: Mapping[str, str]) -> None:
    """Twenty people pin the passage that *right* gives for each question."""
    ids = app.library.resolve(right.values())
    turns = [
        Turn(f"turn-{number}", "c", f"person-{number % 20}", question, "", False, "", now())
        for number, question in enumerate(right)
    ]
    app.feedback.record_turns(turns)
    app.feedback.append(
        [Verdict(turn.user, turn.turn_id, turn.question, ids[right[turn.question]], "pin") for turn in turns]
    )


def _document(external_id: str, text: str) -> tuple[Document, list[Passage]]:
    document_id = hashlib.sha256(external_id.encode()).hexdigest()[:16]
    document = Document(document_id, f"manuals/{external_id}", "", "text/plain", document_id, text)
    return document, [
        Passage(document_id + "-p", document_id, document.source, "", "", text, 0, len(text), None, external_id)
    ]
