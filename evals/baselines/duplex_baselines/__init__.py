"""What a user would otherwise pick: cascades of other people's parts, behind the same interface.

Only evaluations import this package; the product never does.
"""
