"""Training: one loop (`loop.train`), its optimiser, its snapshots, its device."""
