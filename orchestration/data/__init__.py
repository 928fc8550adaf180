"""Datasets and their DVC workspaces: what a data asset does, and whether the data is fit."""
