"""The demo: three networks trained from scratch, and a page that shows how it went.

`chainrule.demo.runs` trains, `chainrule.demo.page` writes the page, `chainrule.demo.folder` puts the files
where they belong without ever leaving half of them there.
"""

from chainrule.demo.errors import DemoError

__all__ = ["DemoError"]
