"""What the pages of the officer's desk and of the office's console share: FastAPI, Jinja2 and HTMX, no build step.

::

    settings  where pages are served, how browsers reach them, how long a seat lasts
    zones     days of one time zone, whatever the machine has
    shield    one host, bounded bodies, headers, the content security policy
    texts     every sentence in Chinese and English, merged from the parts of an application
    pages     rendering, the session's cookie, tokens against forged requests, static files
    seats     who is signed in: timeouts, throttle, who must leave
    notices   what an application itself has to say against a request
    refusals  problems of the services in the words of the page's language
    entry     signing out, the language, how long the seat lasts
    app       the application put together: addresses, shield, what is shown when something is refused
"""
