"""The descent itself: plan -> epochs -> pass. Private; the public names are one floor up."""
