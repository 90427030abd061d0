"""The tables of a PayPal account, the same rows on every machine, behind explore and preview (platform-api.md §4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PREVIEW_ROWS = 100  # the user interface shows up to that many
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, its type (a JSON type, or "date-time"), and the texts or numbers it draws from."""

    name: str
    type: str = "string"
    values: tuple[Any, ...] = ()

    def described(self) -> dict[str, Any]:
        """As `explore` shows it."""
        if self.type == "date-time":
            xdm = {"type": "string", "format": "date-time"}
            return {"name": self.name, "type": "string", "meta:xdmType": "date-time", "xdm": xdm}
        return {"name": self.name, "type": self.type, "meta:xdmType": self.type, "xdm": {"type": self.type}}

    def value(self, row: int) -> Any:
        """The value in a row, a pure function of the row's number."""
        if self.type == "date-time":
            return _moment(row)
        if self.values:
            return self.values[row % len(self.values)]
        if self.type == "number":
            return round(1.5 + (row * 7919 % 100_000) / 100, 2)
        if self.type == "boolean":
            return row % 3 != 0
        return f"{self.name}-{row:05d}"


def _moment(row: int) -> str:
    """A moment in 2024, three hours a row apart."""
    days, hours = divmod(row * 3, 24)
    month, day = divmod(days, 28)
    return f"2024-{month % 12 + 1:02d}-{day + 1:02d}T{hours:02d}:00:00Z"


CURRENCY = Column(name="Currency", values=("USD", "EUR", "GBP"))
CREATED = Column(name="Create_Time", type="date-time")
UPDATED = Column(name="Update_Time", type="date-time")
AMOUNT = Column(name="Amount", type="number")

TABLES: dict[str, tuple[Column, ...]] = {
    "PayPal.Catalog_Products": (
        Column(name="Product_Id"),
        Column(name="Product_Name", values=("Video streaming", "Coffee, 1 kg", "Café table", "Gift card")),
        Column(name="Description", values=("A monthly subscription", "Roasted beans", "Round, oak", "")),
        Column(name="Type", values=("SERVICE", "PHYSICAL", "PHYSICAL", "DIGITAL")),
        CREATED,
    ),
    "PayPal.Transactions": (
        Column(name="Transaction_Id"),
        Column(name="Payer_Email", values=("ada@example.com", "grace@example.com", "alan@example.com")),
        Column(name="Status", values=("S", "P", "D")),
        AMOUNT,
        CURRENCY,
        Column(name="Is_Refund", type="boolean"),
        CREATED,
        UPDATED,
    ),
    "PayPal.Disputes": (
        Column(name="Dispute_Id"),
        Column(name="Transaction_Id"),
        Column(name="Reason", values=("MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "UNAUTHORISED", "DUPLICATE_TRANSACTION")),
        Column(name="Status", values=("OPEN", "RESOLVED", "UNDER_REVIEW")),
        AMOUNT,
        CURRENCY,
        CREATED,
        UPDATED,
    ),
    "PayPal.Payouts": (
        Column(name="Payout_Batch_Id"),
        Column(name="Receiver", values=("ada@example.com", "grace@example.com")),
        Column(name="Status", values=("SUCCESS", "PENDING", "DENIED")),
        AMOUNT,
        CURRENCY,
        CREATED,
    ),
    "PayPal.Billing_Plans": (
        Column(name="Plan_Id"),
        Column(name="Product_Id"),
        Column(name="Name", values=("Monthly", "Yearly")),
        Column(name="Status", values=("ACTIVE", "INACTIVE")),
        CREATED,
        UPDATED,
    ),
    "PayPal.Invoices": (
        Column(name="Invoice_Id"),
        Column(name="Recipient_Email", values=("ada@example.com", "alan@example.com")),
        Column(name="Status", values=("PAID", "SENT", "DRAFT")),
        AMOUNT,
        CURRENCY,
        CREATED,
        Column(name="Due_Date", type="date-time"),
    ),
}


def root() -> list[dict[str, Any]]:
    """What `explore?objectType=root` answers: a bare array of tables."""
    return [
        {"type": "table", "name": path, "path": path, "canPreview": True, "canFetchSchema": True} for path in TABLES
    ]


def table(path: str) -> dict[str, Any] | None:
    """What `explore?objectType=table` answers, None for a table that is not there."""
    columns = TABLES.get(path)
    if columns is None:
        return None
    return {"format": "flat", "schema": {"columns": [column.described() for column in columns]}}


def rows(path: str, count: int = PREVIEW_ROWS) -> list[dict[str, Any]]:
    """The first rows of a table."""
    return [{column.name: column.value(row) for column in TABLES[path]} for row in range(count)]
