"""Every endpoint of the node in one place: who may call it, and what stands in the log for it."""

from __future__ import annotations

from functools import partial

from audit.service.gate import Gate
from audit.service.outcome import Call, Raw
from audit.verifier.errors import LogError
from models.alignment import EvaluateAlignment, MatchTags
from models.catalogue import CatalogueStatement
from models.logged import Empty
from models.parties import Role, ServiceKeys
from models.problems import NotFound
from models.tables import BuildTable, QueryColumns, ServeModel
from models.tickets import EvaluateTickets
from models.training import OpenJob, OpenRound, ProductRequest, Receipt, RoundAnswer
from models.wire import Signed
from sharing_node.aggregation.routes import bind_aggregation
from sharing_node.alignment import Alignment
from sharing_node.archives import Archives
from sharing_node.coverage import Coverage
from sharing_node.drift import Drift
from sharing_node.epochs.epochs import Epochs
from sharing_node.epochs.queries import Queries
from sharing_node.epochs.store import EpochStore
from sharing_node.exposure.routes import bind_exposure
from sharing_node.jobs.cancelling import cancel
from sharing_node.jobs.group_routes import bind_groups
from sharing_node.jobs.release import Releases
from sharing_node.jobs.training import Trainings
from sharing_node.loads import Loads
from sharing_node.node import Node
from sharing_node.private_models.routes import bind_private_models
from sharing_node.projects import Projects

MODELLER = {Role.MODELLER}
ASKERS = {Role.MODELLER, Role.LOAN_OFFICER}
READERS = {Role.MODELLER, Role.LOAN_OFFICER, Role.OFFICE, Role.CLERK, Role.AUDITOR, Role.NODE_OPERATOR, Role.STEWARD}
MEGABYTE = 1 << 20
LARGEST_FILE = 256 * MEGABYTE
LARGEST_PRODUCT = 1024 * MEGABYTE
LARGEST_LIST = 64 * MEGABYTE
RECEIPT_PATIENCE = 0.5
"""Seconds for which a receipt waits for the witness, who comes round in milliseconds: a second request would cost more."""


def bind(gate: Gate, node: Node) -> None:
    """Declare all endpoints."""
    projects, alignment, loads = Projects(node), Alignment(node), Loads(node)
    trainings = Trainings(node)
    releases = Releases(node, trainings)
    store = EpochStore(node.folder / "epochs")
    epochs, queries = Epochs(node, store), Queries(node, store)

    gate.logged("POST", "/loads", action="load", roles={Role.STEWARD}, takes="text/csv", limit=LARGEST_FILE)(loads.load)

    at_the_window = {Role.CLERK, Role.WINDOW}
    gate.logged("POST", "/archives", action="archive.show", roles=at_the_window, takes=Signed)(Archives(node).show)

    gate.logged("POST", "/projects", action="project.open", roles=ASKERS, takes=Signed)(projects.open)
    path = "/projects/{project}/alignment"
    gate.logged(
        "POST", f"{path}/evaluate", action="align.evaluate", roles=MODELLER, takes=EvaluateAlignment, limit=LARGEST_LIST
    )(alignment.evaluate)
    gate.logged("POST", f"{path}/published", action="align.publish", roles=MODELLER, takes=Empty)(alignment.publish)
    gate.logged("POST", f"{path}/match", action="align.match", roles=MODELLER, takes=MatchTags, limit=LARGEST_LIST)(
        alignment.match
    )

    gate.logged("POST", "/jobs", action="job.open", roles=MODELLER, takes=OpenJob)(trainings.open)
    path = "/jobs/{job}/rounds/{round}"
    gate.logged("POST", f"{path}/open", action="round.open", roles=MODELLER, takes=OpenRound)(trainings.open_round)
    gate.logged("POST", f"{path}/product", action="round.product", roles=MODELLER, takes=ProductRequest, limit=LARGEST_PRODUCT)(
        trainings.product
    )
    gate.logged("POST", f"{path}/answer", action="round.close", roles=MODELLER, takes=RoundAnswer, limit=LARGEST_LIST)(
        trainings.answer
    )
    gate.logged("POST", "/jobs/{job}/verdict", action="job.figures", roles=MODELLER, takes=Signed)(trainings.verdict)
    gate.logged("POST", "/jobs/{job}/cancel", action="job.cancel", roles=MODELLER, takes=Empty)(partial(cancel, trainings))
    gate.logged("POST", "/jobs/{job}/release", action="job.release", roles=MODELLER, takes=Empty)(releases.release)
    gate.logged("POST", "/models", action="model.card", roles=MODELLER, takes=Signed)(releases.countersign)
    gate.logged("POST", "/models/{model}/serve", action="model.serve", roles=MODELLER, takes=ServeModel)(releases.serve)
    gate.logged("POST", "/models/{model}/drift", action="model.drift", roles=MODELLER, takes=Empty)(Drift(node).show)

    bind_aggregation(gate, node)
    bind_groups(gate, node, trainings)
    bind_private_models(gate, node, epochs)
    bind_exposure(gate, node)

    operator = {Role.NODE_OPERATOR}
    gate.logged("POST", "/statements/coverage", action="statement.coverage", roles=operator | {Role.STEWARD}, takes=Empty)(
        Coverage(node).state
    )
    gate.logged("POST", "/tables/{table}/epochs", action="epoch.request", roles=operator, takes=BuildTable)(epochs.ask)
    gate.unlogged(
        "GET", "/tables/{table}/builds/{epoch}", roles=operator, why="how far a build is; asking for it and its end are logged"
    )(epochs.progress)
    gate.logged(
        "POST", "/tables/{table}/evaluate", action="check.evaluate", roles=ASKERS, takes=EvaluateTickets, limit=LARGEST_LIST
    )(queries.evaluate)
    gate.unlogged(
        "POST",
        "/tables/{table}/columns",
        roles=ASKERS,
        takes=QueryColumns,
        limit=LARGEST_PRODUCT,
        why="a column is ciphertext of an epoch; it opens only under an evaluation, which is logged",
    )(queries.columns)
    gate.unlogged(
        "GET", "/tables/{table}/manifest", roles=READERS, why="manifests are in the log already and meant to be read"
    )(epochs.manifest)
    gate.unlogged(
        "GET", "/tables/{table}/epochs/{epoch}/hint", roles=READERS, why="the hint follows from ciphertexts and a public matrix"
    )(epochs.hint)
    gate.unlogged(
        "GET",
        "/tables/{table}/epochs/{epoch}/matrix",
        roles={Role.OFFICE},
        why="ciphertexts, which the office checks against the logged manifest",
    )(epochs.matrix)

    _bind_public(gate, node)

    def receipt(call: Call) -> Receipt:
        """GET /receipts/{index}: an entry of the log and its proof."""
        index = call.path["index"]
        try:
            number = int(index) if index.isdecimal() else -1
            with call.engine.connect() as connection:
                [entry] = node.log.store.entries(connection, number, 1)
            return Receipt(index=number, entry=entry, proof=node.log.receipt(number, RECEIPT_PATIENCE))
        except (LogError, ValueError):
            raise NotFound("the log has no such entry") from None

    gate.unlogged("GET", "/receipts/{index}", roles=READERS, why="the log's entries hold no personal data and are public")(
        receipt
    )


def _bind_public(gate: Gate, node: Node) -> None:
    """What anybody may read."""

    def healthy(_path: dict[str, str]) -> Raw:
        """GET /healthz."""
        return Raw(b"ok\n", "text/plain; charset=utf-8")

    def keys(_path: dict[str, str]) -> ServiceKeys:
        """GET /keys: what verifies this service's word; to be compared with what the office enrolled."""
        return node.service_keys

    stated = node.sign(CatalogueStatement.of(node.catalogue))

    def catalogue(_path: dict[str, str]) -> Signed:
        """GET /catalogue: what each field means, who supplies it, and how far it may travel."""
        return stated

    gate.public("GET", "/healthz", why="says only that the service runs")(healthy)
    gate.public("GET", "/catalogue", why="it describes fields and no person; everyone may know what is shared")(catalogue)
    gate.public("GET", "/keys", why="public keys are meant to be known")(keys)
