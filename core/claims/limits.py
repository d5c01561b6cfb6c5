"""What no verdict of a group of claims can say; it stands beside each claim's statistic wherever that is explained."""

from core.claims.paper import DESIGN, FEATURES, LOCAL, LOSS, NOISE, STAGES, TRAINING

_SMALL = "The nets are small and so are their images: what fails here may hold for large nets, and the other way round."

#: group of claims -> what a verdict cannot say
LIMITS: dict[str, str] = {
    LOSS: f"Eigenvalues are of mini-batches and a slice shows few directions; flat is no proof of doing well on new images. {_SMALL}",
    LOCAL: f"Nets that differ in reach or bias mostly differ in more, and few of them make a weak rank. {_SMALL}",
    FEATURES: f"It describes what units do to their maps, not whether the net needs it; units that halve the map are left out. {_SMALL}",
    STAGES: f"Nothing is retrained, and neighbours share the residual stream: it tells what this net leans on. {_SMALL}",
    NOISE: "All hangs on the strength of the noise and on the pictures: those on plain ground bear less of it than photographs. "
    f"A net near guessing has nothing to lose. {_SMALL}",
    DESIGN: f"A difference of points between two recipes is theirs too: other training may turn it. {_SMALL}",
    TRAINING: f"It holds for the recipe that was used, and for no stronger or weaker one. {_SMALL}",
}
