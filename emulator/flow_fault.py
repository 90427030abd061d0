"""How Flow Service says no: every code of platform-api.md §4 and §8.4 with its title, and the way to raise one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import orjson

from flowledger.emulator.options import Options
from flowledger.emulator.problem import flow_problem, refuse
from flowledger.emulator.wire import Request, Response, json_response

TITLES: Final = {
    "FLOW-1100": "Provider refused",
    "FLOW-1101": "Not found at the provider",
    "FLOW-1102": "Provider failed",
    "FLOW-1103": "Provider not available",
    "FLOW-1104": "Provider timed out",
    "FLOW-1400": "Internal error",
    "FLOW-1401": "Invalid combination of parameters",
    "FLOW-1402": "For providers only",
    "FLOW-1403": "Header is missing",
    "FLOW-1404": "Version not matching",
    "FLOW-1405": "Request body is empty",
    "FLOW-1406": "Progress stands alone",
    "FLOW-1407": "Status does not fit progress",
    "FLOW-1408": "Percent completed does not fit the status",
    "FLOW-1409": "Operation not supported",
    "FLOW-1410": "State cannot be set",
    "FLOW-1412": "Invalid mapping version",
    "FLOW-1413": "Invalid spec id",
    "FLOW-1414": "Connection spec cannot be changed",
    "FLOW-1415": "Invalid auth spec name",
    "FLOW-1416": "Not possible in this state",
    "FLOW-1417": "Not possible while initializing",
    "FLOW-1418": "Connection is used by flows",
    "FLOW-1419": "Invalid mapping",
    "FLOW-1420": "Not possible while updating",
    "FLOW-1421": "Not possible while disabling",
    "FLOW-1422": "Illegal transition",
    "FLOW-1425": "Schema mismatch",
    "FLOW-1427": "User tokens are not allowed",
    "FLOW-1430": "Flow id missing",
    "FLOW-1432": "Invalid orderby",
    "FLOW-1433": "Invalid orderby",
    "FLOW-1434": "Invalid operation",
    "FLOW-1435": "Sub action not supported",
    "FLOW-1436": "Sub operation does not fit the operation",
    "FLOW-1437": "Status value not supported",
    "FLOW-1439": "Resource not found",
    "FLOW-1440": "Operator not implemented",
    "FLOW-1443": "Several values",
    "FLOW-1444": "Flow is not pending",
    "FLOW-1445": "Updates of connections are not enabled",
    "FLOW-1446": "Invalid flow id",
    "FLOW-1447": "Active flows contain the object",
    "FLOW-1448": "No range",
    "FLOW-1449": "Unknown field",
    "FLOW-1450": "Invalid operator",
    "FLOW-1451": "Invalid parameter",
    "FLOW-1452": "Invalid value",
    "FLOW-1453": "Invalid value",
    "FLOW-1455": "Invalid path",
    "FLOW-1456": "Invalid state",
    "FLOW-1457": "Update not possible in the current state",
    "FLOW-1458": "Delete not possible in the current state",
    "FLOW-1499": "Name is taken",  # our own, for the option that refuses equal names (U23)
    "FLOW-2000": "Token or organisation invalid",
    "FLOW-2001": "Organisation header missing",
    "FLOW-2002": "Organisation header invalid",
    "FLOW-2100": "Sandbox not found",
    "FLOW-2101": "Sandbox not found",
    "FLOW-2103": "Sandbox not found",
    "FLOW-2105": "Sandbox header missing",
    "FLOW-2110": "Sandbox id header not allowed",
    "FLOW-2118": "Permission denied",
    "FLOW-2120": "Permission denied",
    "FLOW-2121": "Permission denied",
    "FLOW-2200": "Catalog could not be reached for the schema check",
    "FLOW-2250": "Data Prep could not be reached for the mapping check",
    "CONNECTOR-1000": "Bad request",
    "CONNECTOR-1001": "Unauthorized",
    "CONNECTOR-1002": "Forbidden",
    "CONNECTOR-1003": "Not found",
    "CONNECTOR-1004": "Unsupported media type",
    "CONNECTOR-1005": "Internal error",
    "CONNECTOR-1006": "Request timed out",
    "CONNECTOR-1011": "Service not available",
    "CONNECTOR-1012": "Gateway timed out",
    "CONNECTOR-1013": "Precondition failed",
    "CONNECTOR-1300": "Updates are not supported for the connector",
    "CONNECTOR-1301": "Auth spec type not supported",
    "CONNECTOR-1302": "Authentication type not supported for the connector",
    "CONNECTOR-1304": "Missing mandatory parameter",
    "CONNECTOR-1307": "Invalid target connection spec",
    "CONNECTOR-1312": "Invalid parameter value",
    "CONNECTOR-1317": "Schedule is empty",
    "CONNECTOR-1320": "Source connection missing",
    "CONNECTOR-1321": "One source and one target connection only",
    "CONNECTOR-1322": "Target connection missing",
    "CONNECTOR-1324": "Target connections missing",
    "CONNECTOR-1325": "Invalid data set id",
    "CONNECTOR-1327": "Format not supported",
    "CONNECTOR-1328": "Mapping missing",
    "CONNECTOR-1329": "Mapping id missing",
    "CONNECTOR-1330": "Table not found",
    "CONNECTOR-1332": "Base connection not allowed",
    "CONNECTOR-1333": "Action not supported for the source",
    "CONNECTOR-1337": "Object type not supported",
    "CONNECTOR-1338": "Source connections missing",
    "CONNECTOR-1353": "Filters not supported",
    "CONNECTOR-1358": "Object type missing",
    "CONNECTOR-1359": "Object missing",
    "CONNECTOR-1360": "Invalid start time",
    "CONNECTOR-1361": "Interval not allowed",
    "CONNECTOR-1362": "Interval too small",
    "CONNECTOR-1363": "Interval not allowed with the frequency",
    "CONNECTOR-1364": "Backfill not allowed",
    "CONNECTOR-1365": "Invalid path",
    "CONNECTOR-1366": "Start time has passed",
    "CONNECTOR-1367": "Delta column missing",
    "CONNECTOR-1368": "Mode not supported",
    "CONNECTOR-1369": "Delta column not allowed",
    "CONNECTOR-1370": "Mapping params missing",
    "CONNECTOR-1380": "Run could not be created",
    "CONNECTOR-1381": "Window reversed",
    "CONNECTOR-1382": "Delta column differs",
    "CONNECTOR-1383": "Delta column missing",
    "CONNECTOR-1384": "Params empty",
    "CONNECTOR-1385": "Runs not supported for the connector",
    "CONNECTOR-1386": "Flow is not scheduled once",
    "CONNECTOR-1387": "Run has not failed",
    "CONNECTOR-1388": "Run cannot be triggered again",
    "CONNECTOR-1397": "Invalid frequency",
    "CONNECTOR-1398": "Operation not supported",
    "CONNECTOR-1401": "Action on runs not supported",
    "CONNECTOR-1403": "Frequency cannot be changed to once",
    "CONNECTOR-1404": "Backfill cannot be changed",
    "CONNECTOR-1600": "Bad request",
    "CONNECTOR-1601": "Internal error",
    "CONNECTOR-1602": "Not found",
    "CONNECTOR-1603": "Service not available",
    "CONNECTOR-1604": "Gateway timed out",
    "CONNECTOR-1605": "Unauthorized",
    "CONNECTOR-1606": "Forbidden",
    "CONNECTOR-1607": "Precondition failed",
}


def fault(status: int, code: str, text: str) -> NoReturn:
    """Refuse with a Flow Service body; `code` with its prefix, without the status: "FLOW-1413"."""
    refuse(flow_problem(status, f"{code}-{status}", TITLES[code], text))


def reported(refusal: Response, request: Request, params: Mapping[str, str], options: Options) -> Response:
    """Flow Service's refusal as it leaves: with the id and the request it is about, or in the shape of 2020 (§8.2)."""
    body = orjson.loads(refusal.body)
    if "report" not in body:
        return refusal  # the gateway's own
    if options.old_error_bodies:
        return json_response(refusal.status, _old_body(body))
    kind = request.raw_path.partition("/flowservice/")[2].partition("/")[0]
    report = {"request-id": request.headers.get("x-request-id", ""), "type": kind}
    if "id" in params:
        report["id"] = params["id"]
    type_ = body["type"].replace("/CONNECTOR-", f"/{options.sources_prefix}")  # U19
    return json_response(refusal.status, {**body, "type": type_, "report": {**body["report"], **report}})


def _old_body(body: dict[str, Any]) -> dict[str, Any]:
    """What was said in 2020: no code, and a bad spec in a shape of its own."""
    if "FLOW-1413" in body["type"]:
        return {"message": "Please provide a valid spec id"}
    return {"errorMessage": body["errorMessage"], "errorDetails": body["errorDetails"]}
