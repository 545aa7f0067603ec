"""The cluster file: its model, where things stand in it, how it is read and checked."""
