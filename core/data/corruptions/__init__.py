"""Common corruptions of images: 15 kinds that count in the mean and 4 extra ones, five severities each, made while they are needed.

Definitions and constants: Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", arXiv:1903.12261, and the published generators make_cifar_c.py and make_imagenet_c.py.  The implementations here are
the lab's own: they take a batch at a time.  `catalog` names the kinds and holds both severity tables (no torch there),
`generate.corrupt` makes the images, `official` reads the published files.

Known deviations from the published images:
  - The random numbers are others: one stream for each (seed, kind, severity, image), the same on every machine.  They
    are quantiles, 65,536 to a law, and 4,096 for shot noise, so that nothing beyond 4.3 (3.7) standard deviations occurs.
  - Frost: textures are generated with the mean colour, contrast and spectrum of the published photographs; their crystals differ.
  - Sides other than 32 and 224 take the table that is nearer in ratio; lengths in pixels stay, as in the published generators, and
    only elastic's, which are published as shares of the side, grow with it.
  - Elastic is interpolated exactly, where OpenCV rounds positions to 1/32 of a pixel.
  - Spatter: mean distances that are whole numbers stay whole, where OpenCV's rounding errors cut some of them to the level below.

On images of one channel each kind does what it does to a colour image whose channels are equal, and the luma of that is kept; two
kinds would colour such an image and need a word: brightness adds to the grey value, and saturate changes nothing.
"""

from core.data.corruptions.catalog import KINDS, SEVERITIES, TABLES, Corruption, constants, counted, table_of

__all__ = ["KINDS", "SEVERITIES", "TABLES", "Corruption", "constants", "counted", "table_of"]
