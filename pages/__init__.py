"""One file per page; a page picks, reads and draws, and computes no number itself."""
