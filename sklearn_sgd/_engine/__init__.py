"""The descent itself: plan -> epochs -> kernel. Private; the public names are one floor up."""
