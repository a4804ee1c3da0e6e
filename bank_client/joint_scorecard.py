"""`JointScorecard`: a scikit-learn classifier whose second half stays at the data node.

::

    fit(X, y)        align (once), own bins and WOE, two proven rounds        -> iv_, figures_, cohort_
    resume()         go on with a fit that stopped; fit with the same rows does so in another process
    cancel()         give a fit up, from another thread or after it stopped
    release()        bands of the cohort's rows, within the release limit     -> bands_, half_, scorecard_, metrics_, card_
    refit(rejects)   the bank's half again, with other parameters or rejects
    register()       card signed by both sides, filed with the office
    serve()          after the office's approval: the node may build the score table
    predict_proba(X) cohort rows by their released band, others by a private query each; so do points, explain, evaluate

`fit` ends at figures that name no row; `release` spends budget and is never called by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from bank_client.alignment import AlignedCohort, Progress, align
from bank_client.applicants import Applicants
from bank_client.binning import Cuts, WoeBinning, binned
from bank_client.fitted_model import FittedModel
from bank_client.frames import check_frame, check_labels
from bank_client.group_training import Group, GroupTraining
from bank_client.job_journal import JobJournal
from bank_client.joint_training import JointTraining
from bank_client.long_jobs import Cancelled, cancel_job
from bank_client.model_file import load_half, save_half
from bank_client.progress import shown
from bank_client.registration import file_card, open_table
from bank_client.reject_inference import RejectInference
from bank_client.reuse import copy_of, fit_copy, is_copy
from bank_client.session import Bank
from bank_client.trained_fields import TrainedFields
from crypto.warm import warm_up
from models import wire
from models.consents import Purpose
from models.logged import Empty
from models.privacy import PrivacyWish
from models.problems import Conflict, Unavailable
from models.scorecard.card import NodeCard
from models.scorecard.design import Encoding
from models.scorecard.options import FieldBinning
from models.training import Released

OF_A_RELEASE = (
    *("model_id_", "card_", "signed_card_", "registered_", "bands_", "half_", "coef_", "intercept_", "calibrator_"),
    *("reference_", "out_of_fold_", "summary_"),
)


class JointScorecard(TrainedFields, FittedModel):
    """A scorecard on the bank's own fields and the node's.

    Args:
        project: id of an approved joint project.
        bank: the modeller's session; shared by clones.
        cohort: an alignment to use instead of aligning the rows of `X`.
        max_bins: of a column on either side, 2 to 20.
        binning: of the bank's own columns: a `WoeBinning`, or the modeller's own cuts by column; bins by row counts if None.
        node_binning: of the node's fields, a `FieldBinning` each (or for all), e.g. with a trend or special values.
        group: a `Group`, to train one model with the other banks of the project; its columns take the place of `binning`.
        privacy: a `PrivacyWish`, in a project with a privacy budget: each `fit` spends its epsilon.
        encoding: of the bank's own columns in its half: "woe", "one_hot", or "auto" to choose by cross-validation.
        C: inverse strength of the L2 penalty of the bank's half.
        reject_inference: how applicants that were turned down take part in `refit`.
        pdo, base_score, base_odds: `base_odds` goods to one bad score `base_score` points, and `pdo` more double the odds.
        point_decimals: to how many places the points of a bin are rounded; None for not at all.
        purpose: under which new applicants are looked up.
        progress: True for progress bars, or a callable that is called with (what, done, of).

    Attributes (learned by `fit`):
        cohort_: the aligned rows. columns_: the bank's own, with bins and WOE. plan_, figures_: as the node gave them.
        iv_: information value by field, both sides, strongest first. vif_: of the node's fields.
        correlation_: DataFrame of both sides' columns. tables_: a DataFrame by field. stability_: PSI by node field.
        notes_: what the node reduced, and why.
        phases_: seconds and bytes by phase.

    Attributes (learned by `release`):
        model_id_, bands_ (uint8 in row order), band_means_, coef_, intercept_, encoding_, leakage_, metrics_ (out of
        fold), card_, node_card_; half_: the bank's half; scorecard_: its points.
    """

    def __init__(
        self,
        project: str = "",
        bank: Bank | None = None,
        cohort: AlignedCohort | None = None,
        *,
        max_bins: int = 20,
        binning: WoeBinning | Mapping[str, Cuts] | None = None,
        node_binning: Sequence[FieldBinning] = (),
        group: Group | None = None,
        privacy: PrivacyWish | None = None,
        encoding: Encoding | Literal["auto"] = "auto",
        C: float = 0.3,
        reject_inference: RejectInference | None = None,
        pdo: float = 20.0,
        base_score: float = 600.0,
        base_odds: float = 50.0,
        point_decimals: int | None = 0,
        purpose: str = Purpose.LOAN_APPROVAL,
        progress: Progress | bool | None = None,
    ) -> None:
        self.project = project
        self.bank = bank
        self.cohort = cohort
        self.max_bins = max_bins
        self.binning = binning
        self.node_binning = node_binning
        self.group = group
        self.privacy = privacy
        self.encoding = encoding
        self.C = C
        self.reject_inference = reject_inference
        self.pdo = pdo
        self.base_score = base_score
        self.base_odds = base_odds
        self.point_decimals = point_decimals
        self.purpose = purpose
        self.progress = progress

    # ---------------------------------------------------------------- fit

    def fit(self, X: pd.DataFrame, y: pd.Series[Any] | NDArray[Any], *, node_fields: Sequence[str] = ()) -> Self:
        """Train on the rows of `X` (DataFrame indexed by subject id) that both sides know.

        Calling it again with the same ids reuses the alignment and starts a new training, unless one with just these inputs
        stopped half-way, in this process or in one that was killed: then it goes on with that. `node_fields` are those of
        the project's fields that are wanted, such as `select` gives them; empty for all.

        Raises:
            ValueError: X or y cannot be used; says why.
            PeerUnavailable: node or office did not answer; `resume` goes on where it stopped.
            Cancelled: `cancel` was called meanwhile.
            Problem: node or office refused; `detail` and `next_step` say what to do.
        """
        bank = self._bank
        if is_copy(self):
            return fit_copy(self, X, y)
        check_frame(X)
        labels = check_labels(X, y)
        if self.privacy is not None and "labels" in self.privacy.protects and isinstance(self.binning, WoeBinning):
            raise ValueError("bins that follow the labels would show them: under privacy for labels give cuts, or no binning")
        subjects = self._canonical(X.index)
        self._forget_release()
        threading.Thread(target=warm_up, name="warm-up", daemon=True).start()  # compilers load while customers are aligned
        given = self.cohort.id if self.cohort is not None else ""
        self._journal: JobJournal | None = JobJournal.of(
            bank.config.data_dir, "fit", bank.config.person, self.project, given, *subjects
        )
        with self._kept():
            self.cohort_: AlignedCohort = self._aligned(bank, subjects)
            self._take_rows(X, labels, subjects)
            bank.phases.pop("fit", None)  # what an interrupted training took is not this one's
            with bank.phase("fit"):
                self._unfinished: JointTraining | None = self._training(bank, node_fields)
                if self._journal is not None:
                    self._unfinished.keep_in(self._journal)
        return self.resume()

    def resume(self) -> Self:
        """Go on with a `fit` that stopped because node or office did not answer: at the very request that got no answer.

        Raises:
            ValueError: no training of this model stopped half-way.
            PeerUnavailable, Problem: as `fit`.
        """
        training: JointTraining | None = getattr(self, "_unfinished", None)
        if training is None:
            raise ValueError("no training of this model stopped half-way; call fit")
        bank = self._bank
        with self._kept(), bank.phase("fit"), shown(self.progress) as training.progress:
            trained = training.run()
        self.plan_, self.job_ = trained.plan, trained.plan.job
        self.notes_ = trained.plan.notes
        if self.group is not None:
            self.columns_ = list(trained.columns)
        self.set_figures(trained.figures)
        self.phases_ = dict(bank.phases)
        self._forget_job()
        return self

    def cancel(self) -> Self:
        """Give up a `fit` that is running in another thread, or that stopped: node and bank delete what they hold of it.

        In the thread that it is running in it raises `Cancelled` before the next request. A training that was begun counts
        in the project's budget.

        Raises:
            ValueError: no `fit` of this model is under way or stopped half-way.
            PeerUnavailable: the node did not answer; nothing was given up, call it again.
        """
        journal: JobJournal | None = getattr(self, "_journal", None)
        if journal is None:
            raise ValueError("no training of this model is under way or stopped half-way, so there is nothing to give up")
        cancel_job(self._bank, journal)
        self._journal = self._unfinished = None
        return self

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """What stops because a service did not answer, or by an interrupt, can go on; what was refused is forgotten."""
        try:
            yield
        except (Unavailable, Cancelled):
            raise
        except Exception:
            self._forget_job()
            raise

    def _forget_job(self) -> None:
        journal, self._journal, self._unfinished = self._journal, None, None
        if journal is not None and journal.path.exists():
            with suppress(Conflict, Cancelled), journal.held():  # unless it is another process' or is being cancelled
                journal.forget()

    def _training(self, bank: Bank, node_fields: Sequence[str]) -> JointTraining:
        if self.group is not None:
            return GroupTraining(
                bank,
                self.cohort_,
                self.labels_,
                self.group.codes(self._rows),
                self.group,
                max_bins=self.max_bins,
                node_fields=node_fields,
                node_binning=self.node_binning,
            )
        self.columns_ = binned(self.binning, self._rows, self.labels_, self.max_bins)
        return JointTraining(
            bank,
            self.cohort_,
            self.labels_,
            self.columns_,
            max_bins=self.max_bins,
            node_fields=node_fields,
            node_binning=self.node_binning,
            privacy=self.privacy,
        )

    def __sklearn_clone__(self) -> Self:
        """See `bank_client.reuse`: a copy of a released model refits the bank's half, and no copy starts a training."""
        return copy_of(self)

    def attach(self, X: pd.DataFrame, y: pd.Series[Any] | NDArray[Any]) -> Self:
        """Give a trained model that was loaded from a file its training rows back, for `release`."""
        check_is_fitted(self, "job_")
        check_frame(X, fitted=[column.bins.field for column in self.columns_])
        self._take_rows(X, check_labels(X, y), self._canonical(X.index))
        return self

    def _take_rows(self, X: pd.DataFrame, labels: NDArray[np.uint8], subjects: list[str]) -> None:
        """Keep the cohort's rows in the cohort's order."""
        place = {subject: row for row, subject in enumerate(subjects)}
        if len(place) != len(subjects):
            raise ValueError("two ids of X name the same subject")
        missing = sum(subject not in place for subject in self.cohort_.subjects)
        if missing:
            raise ValueError(f"{missing} rows of the cohort have no row in X; give X for all of them, or align these rows anew")
        order = [place[subject] for subject in self.cohort_.subjects]
        self._rows, self.labels_ = X.iloc[order], labels[order]

    def _forget_release(self) -> None:
        for name in OF_A_RELEASE:
            self.__dict__.pop(name, None)
        self._looked_up: Applicants | None = None
        self._journal = None
        self._unfinished = None

    def _aligned(self, bank: Bank, subjects: list[str]) -> AlignedCohort:
        if self.cohort is not None:
            if self.cohort.project != self.project:
                raise ValueError(f"this cohort was aligned for the project {self.cohort.project}, not for {self.project}")
            return self.cohort
        kept: tuple[frozenset[str], AlignedCohort] | None = getattr(self, "_alignment", None)
        if kept is None or kept[1].project != self.project or kept[0] != frozenset(subjects):
            with shown(self.progress) as progress:
                made = align(bank, self.project, subjects, progress=progress, journal=self._journal)
            kept = frozenset(subjects), made
            self._alignment = kept
        elif self._journal is not None:
            with self._journal.held() as journal:
                journal.keep("cohort", kept[1].to_json())
        return kept[1]

    # ---------------------------------------------------------------- release

    def release(self, parent: str = "") -> Self:
        """Have the node release the bands of the cohort's rows, and fit the bank's own half on them.

        Spends one of the releases that each subject has in a year. `parent` names the model that this one replaces.

        Raises:
            ReleaseRefused: the bands would say too much about one of the node's columns, or the budget is used up.
        """
        check_is_fitted(self, "job_")
        if not hasattr(self, "_rows"):
            raise ValueError("a model from a file needs its training rows for this: call attach(X, y) first")
        bank = self._bank
        with bank.phase("release"):
            # The same key gives the same bytes: a release that was cut off is not spent twice.
            key = f"release-{self.job_}"
            released = bank.node.logged(f"/jobs/{self.job_}/release", Empty(), Released, key=key).answer
            card = bank.from_node(released.card, NodeCard)
            self._check_release(released, card)
        self.node_card_ = released.card
        self.bands_ = np.frombuffer(released.bands, dtype=np.uint8)
        with bank.phase("own half"):
            self._fit_half(card)
            self._make_card(card, parent)
        self.phases_ = dict(bank.phases)
        return self

    def _check_release(self, released: Released, card: NodeCard) -> None:
        cohort, bands = self.cohort_, np.frombuffer(released.bands, dtype=np.uint8)
        said = (card.model, card.job, card.project, card.cohort_root, card.rows, card.band_means)
        known = (released.model, self.job_, cohort.project, cohort.root.hex(), cohort.rows, released.means)
        if said != known or bands.size != cohort.rows or int(bands.max()) >= len(released.means):
            self._bank.damaged("release", "the node's card is on another release", artefacts=(wire.encode(released.card),))

    def save(self, path: str | Path) -> None:
        """Write a trained or released model as JSON, mode 0600: the file holds customers' ids and, released, their bands."""
        check_is_fitted(self, "job_")
        save_half(self, path)

    @classmethod
    def load(cls, path: str | Path, bank: Bank | None = None) -> JointScorecard:
        """A model as `save` wrote it: a released one is ready for `predict_proba`, a trained one for `attach` and `release`."""
        model = cls(bank=bank)
        model._forget_release()
        return load_half(model, path)

    # ---------------------------------------------------------------- from model to score table

    def register(self) -> Self:
        """Sign the card, have the node sign it, and file it with the office, which then decides on it."""
        check_is_fitted(self, "card_")
        if self.refitted_since_registration:
            raise ValueError(
                "this model is registered with another half, and its card cannot be replaced; keep the new half as a "
                "challenger, and register the next training with release(parent=...)"
            )
        self.registered_ = file_card(self._bank, self.card_, self.node_card_)
        self.signed_card_ = self.registered_.bank_card
        return self

    def serve(self) -> str:
        """Hand the office's approval to the node; the id of the score table, of which an operator then opens epochs.

        Raises:
            NotApproved: the office has not approved the model (yet).
        """
        check_is_fitted(self, "model_id_")
        return open_table(self._bank, self.model_id_)
