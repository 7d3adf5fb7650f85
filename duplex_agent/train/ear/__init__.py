"""What the ear and its adapter learn from: rows of speech, their features, the CTC loss."""
