"""The commands of `tandem`, one module each; they import the heavy parts when they run."""
