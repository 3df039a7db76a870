"""Images as pixel arrays: image files, archives of them, and arrays of pixels."""
