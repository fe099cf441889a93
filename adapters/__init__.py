"""The production side: order books, journals and gateways around the engine in `twin.core`.

Nothing here imports SimPy, so an image that holds only this side runs without it.
"""
