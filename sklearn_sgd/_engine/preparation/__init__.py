"""Before the first epoch: what the data show, and plans made of it."""
