"""What runs around the programme: the same stack as plain processes, images and manifests."""
