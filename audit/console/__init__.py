"""The credit office's web console: pages for its clerks, auditors and supervisors, and for subjects who have an account.

The console is a client. Every act of a page is a signed request of the person in front of it to office or node, so that
roles, leaves and durability stay with the services; the console itself decides nothing and stores only who may sign in.

::

    settings  one TOML file                      accounts  who may sign in: people of the office, subjects with an account
    sealing   secrets at rest                    factors   second factors: one-time codes, passkeys, recovery codes
    session   signed calls as one person         seats     signing in, in two steps; who is signed in
    registry  topics: pages, texts, navigation   web       what a page asks for: the console, a seat of some role
    app       put together, served               cli       serve, keygen, add-person, reset-second-factor

How a page is added (no shared file is touched): write ``pages_<topic>.py`` with an `APIRouter` and a ``TOPIC``, templates
``templates/<topic>_<page>.html``, texts ``texts_<topic>.py``::

    router = APIRouter(prefix="/people")
    TOPIC = Topic(
        router,
        texts=TEXTS,                                          # {"people-title": ("人员", "People"), …}: prefix your keys
        entries=(Entry("/people", "people-title", frozenset({Role.CLERK}), order=80),),
        waiting=waiting,                                      # optional: what waits for a person, for the start page
        details={"this person is gone": "此人已注销"},          # optional: sentences of the services in Chinese
    )

    @router.get("")
    def people(request: Request, console: ConsoleOf, seat: Clerk) -> Response:
        with seat.session() as office:                        # an `OfficeSession`: signed as this person
            directory = office.directory()
        return console.page(request, "people_list.html", people=directory.people)

    @router.post("/suspend", dependencies=[Genuine])          # every POST is `Genuine`; forms carry ``csrf``
    def suspend(request: Request, seat: Clerk, id: Annotated[str, Form()], reason: Annotated[str, Form()]) -> Response:
        with seat.session() as office:
            office.logged("/suspensions", Target(kind="person", id=id, suspended=True, reason=reason), Empty)
        return see("/people")

A template extends ``base.html`` and fills ``title`` and ``main``; ``t("people-title")`` says a text, ``day`` and ``moment``
write times, forms hold ``<input type="hidden" name="csrf" value="{{ token }}">``. No inline scripts or styles: the content
security policy forbids them. A `Problem` that a service answers with becomes a page by itself; catch it only to show a form
again, with ``notice=`` or ``refusal=console.pages.refusal(request, problem)``. Raise ``Notice("your-key")`` against a request.
Ids of people stand in no address: keep them in the seat (``seat.kept``, a dictionary that ends with it) under a handle.
"""
