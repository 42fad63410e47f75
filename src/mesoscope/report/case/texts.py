"""The standing texts of a report: what a score is worth, in our own calm words."""

from __future__ import annotations

from mesoscope.types.label import SAYINGS, Answer

MEANINGS: tuple[tuple[Answer, str], ...] = (
    (
        "fake",
        (
            "The score of the deciding face lies at or above the upper threshold. Among faces "
            "like those of the calibration that is mostly right, and sometimes wrong."
        ),
    ),
    (
        "inconclusive",
        (
            "The model does not know: the score lies between the two thresholds, or a face is "
            "unlike anything that it learnt from, or no face was found in what may be a crop of "
            "one. This is an answer, and often the right one. "
            "It is not a half of a fake, and it must not be counted as real."
        ),
    ),
    (
        "real",
        (
            f"The label says: {SAYINGS['real']}. That is less than a proof that a face is genuine: "
            "a forgery made in another way may leave no sign that it knows."
        ),
    ),
    (
        "none",
        "Nothing could be judged: no face, or none that is large enough. There is no score.",
    ),
    (
        "unreadable",
        ("The file is missing, damaged, or of a kind that is not read. Nothing is said of it."),
    ),
)
WHAT_IT_MEANS = (
    (
        "p_fake answers one question: among faces like those that the model was calibrated on, "
        "half of them forged, what share of those that score like this one is forged? 1 means "
        "surely forged, 0 surely not, and higher is always more fake."
    ),
    (
        "It is a reason to look closer. Alone it is no evidence, neither that a picture is "
        "forged nor that it is genuine, and it cannot say who made a picture, when, or why. The "
        "original file and its history, the person who sent it and other pictures of the same "
        "event can."
    ),
)
WHERE_IT_FAILS = (
    (
        "Forgeries of a new kind.",
        (
            "The model learnt the traces of certain ways of forging. Others may leave no trace "
            "that it knows, and then it says real, sometimes with confidence."
        ),
    ),
    (
        "Copies of copies.",
        (
            "Messengers and platforms shrink and compress pictures, and that wipes traces away. "
            "Judge the earliest copy that can be had, and not a screenshot."
        ),
    ),
    (
        "Rare forgeries.",
        (
            "The score takes half of all faces to be forged. Where one in a hundred is, most of "
            "those called fake can be genuine even with a good model."
        ),
    ),
    (
        "Honest retouching.",
        (
            "The score is about pixels and not about intent: an advertisement or a strong "
            "filter of a telephone may look forged."
        ),
    ),
    (
        "People the model saw little of.",
        (
            "Its training pictures are not balanced by age, skin or region, and errors may "
            "differ between groups."
        ),
    ),
    (
        "Somebody who knows the model.",
        "Its weights are public. Whoever wants to pass it can try until it says real.",
    ),
)
HEAT_SAYS = (
    "Warm colours lie where the model found what speaks for fake. They show what moved the "
    "score, not what was forged."
)
BY_KIND = (
    "How it did on its own validation pictures, the hardest kind first. AUC is the chance that "
    "a forged face scores above a genuine one: .5 is guessing, 1 is perfect. Pictures of other "
    "kinds can be harder than any of these."
)
NO_SETTINGS = "The verdicts came from a file that does not say by which settings they were made."
