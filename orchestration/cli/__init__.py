"""The commands of `foresight`, one file each; app.py mounts them (design §11)."""
