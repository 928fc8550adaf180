"""What is looked at before a change lands, beside style and types: secrets in the tree, advisories on what the lock
installs.
"""
