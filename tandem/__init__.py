"""What the four parts of Tandem share: configuration, workspace, prompt, database and errors."""

from typing import Final

__version__: Final = "0.1.0"
