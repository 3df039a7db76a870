"""Sources of data: uploads, downloads, bundled data sets, and one reader for each file format."""
