"""What is claimed of a candidate, in the words of the field and in those that files and flags have always had."""

EQUIVALENCE, NON_INFERIORITY = CLAIMS = ("same", "no_worse")
"""The words on disk. Equivalence: the reference in another form, every change counts. Non-inferiority: trained anew."""
ALIASES = {"equivalence": EQUIVALENCE, "non_inferiority": NON_INFERIORITY}


def canonical_claim(claim: str) -> str:
    """The word on disk for a claim or its alias, hyphens as underscores; raises ValueError for any other."""
    word = claim.replace("-", "_")
    word = ALIASES.get(word, word)
    if word not in CLAIMS:
        raise ValueError(
            f"claim is '{claim}'; allowed are {' and '.join(CLAIMS)}, also called {' and '.join(ALIASES)}."
        )
    return word
