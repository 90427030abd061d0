"""Words that follow from a number or a noun, for messages: "1 object is", "3 objects are", "an ad hoc class"."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number with its noun, like "1 row" and "3 rows". `noun` is in the singular, and takes an s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def there_are(count: int, noun: str) -> str:
    """A number with its noun and the verb, like "1 object is" and "3 objects are"."""
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"


def with_article(noun: str) -> str:
    """A noun with "a" or "an", by its first letter."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
