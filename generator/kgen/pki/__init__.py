"""The certificates: which there are, what they must say, how they are issued and read back."""
