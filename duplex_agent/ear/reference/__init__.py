"""The ear's networks in PyTorch, for training and comparison. The running agent imports none."""
