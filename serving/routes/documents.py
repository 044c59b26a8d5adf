"""The documents of a domain over HTTP: list, read, add or replace, delete, and search their passages."""

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from serving.engine import Json
from serving.highlight import MAX_CONTEXT, PAGE_HEADERS, excerpt, page_of
from serving.indexes import Indexes
from serving.routes.common import JsonResponse, ServicesNow, principals_of, require_admin
from serving.schemas import DocumentsRequest, SearchRequest
from serving.targets import check_domain
from tandem.errors import UserError

if TYPE_CHECKING:
    from retrieval.documents import Document
    from retrieval.results import Commit, Failure
    from retrieval.rules import Rules

router = APIRouter(prefix="/v1/domains/{domain}")

MULTIPART: Final = "multipart/form-data"
MAX_FILES: Final = 1_000
# The body is read by hand, because one route takes two kinds of it; this tells the schema so.
TWO_BODIES: Final[Json] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": DocumentsRequest.model_json_schema()},
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


@router.get("/documents")
async def list_documents(
    domain: str,
    request: Request,
    services: ServicesNow,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query()] = None,
    user: Annotated[str | None, Query()] = None,
) -> Response:
    """Documents that one may see by id, `limit` at a time; `after` continues behind that id."""
    everything = await services.indexes.documents(domain, principals=principals_of(request, services, user))
    rest = [document for document in everything if after is None or document.id > after]
    page = [asdict(document) for document in rest[:limit]]
    return JsonResponse({"documents": page, "total": len(everything), "has_more": len(rest) > limit})


@router.get("/documents/{name:path}")
async def get_document(
    domain: str,
    name: str,
    request: Request,
    services: ServicesNow,
    start: Annotated[int | None, Query(ge=0)] = None,
    end: Annotated[int | None, Query(ge=1)] = None,
    context: Annotated[int, Query(ge=0, le=MAX_CONTEXT)] = 500,
    format: Annotated[Literal["json", "html"], Query()] = "json",
    user: Annotated[str | None, Query()] = None,
) -> Response:
    """One document with its text, in which the offsets of citations count.

    With `start` and `end`, such as a citation's, that span with up to `context` characters around it; as a page with
    the span marked where `format` is `html`.
    """
    principals = principals_of(request, services, user)
    document = await services.indexes.document(domain, name, principals=principals)
    if start is None and end is None and format == "json":
        body = asdict(document)
        del body["hidden"]  # told once, when it is read
        if principals is not None:  # who else may see it is the operator's to know
            del body["allow"]
        return JsonResponse(body)
    shown = excerpt(document, start, end, context)
    return HTMLResponse(page_of(shown), headers=PAGE_HEADERS) if format == "html" else JsonResponse(asdict(shown))


@router.post("/documents", dependencies=[Depends(require_admin)], openapi_extra=TWO_BODIES)
async def add_documents(domain: str, request: Request, services: ServicesNow) -> Response:
    """Add or replace documents, sent as JSON or as files (multipart), in one commit."""
    from retrieval.documents import UnreadableDocument
    from retrieval.rules import Rules

    check_domain(domain, services.config)
    if request.headers.get("content-type", "").lower().startswith(MULTIPART):
        rules = Rules(services.config.domains[domain].document_rules)
        documents, unread = await _read_files(request, services.indexes, rules)
    else:
        documents, unread = await _read_json(request), []
    commit = await services.indexes.add(domain, documents)
    failed = [*commit.failed, *unread]
    if failed and not commit.added + commit.replaced + commit.unchanged:
        raise UnreadableDocument(f"{failed[0].id!r}: {failed[0].reason}", failed=[asdict(f) for f in failed])
    return JsonResponse(_commit_body(commit, failed))


@router.delete("/documents/{name:path}", dependencies=[Depends(require_admin)])
async def delete_document(domain: str, name: str, services: ServicesNow) -> Response:
    """Delete one document for good."""
    commit = await services.indexes.delete(domain, [name])
    return JsonResponse({"snapshot": commit.snapshot, "removed": commit.removed})


@router.post("/search")
async def search(domain: str, body: SearchRequest, request: Request, services: ServicesNow) -> Response:
    """Passages, best first."""
    principals = principals_of(request, services, body.user)
    result = await services.indexes.search(domain, body.query, body.search(), principals=principals)
    return JsonResponse(asdict(result))


async def _read_json(request: Request) -> "list[Document]":
    from retrieval.documents import Document

    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise UserError(
            f"Send documents as application/json or {MULTIPART}.",
            code="unsupported_media_type",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    try:
        body = DocumentsRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    return [
        Document(
            one.id,
            one.title or one.id,
            one.text,
            one.metadata,
            allow=None if one.allow is None else tuple(one.allow),
            language=one.language,
        )
        for one in body.documents
    ]


async def _read_files(request: Request, indexes: Indexes, rules: "Rules") -> "tuple[list[Document], list[Failure]]":
    """The documents in the uploaded files, and the files that hold none."""
    from retrieval.documents import UnreadableDocument
    from retrieval.results import Failure

    documents, unread = [], []
    async with request.form(max_files=MAX_FILES) as form:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise UserError("The form has no file; send one or more as `files`.", param="files")
        for file in files:
            name = file.filename or "unnamed"
            try:
                found, failed = await indexes.parse(name, await file.read())
                documents += [rules.apply(document, name) for document in found]
                unread += failed
            except UnreadableDocument as error:
                unread.append(Failure(name, error.message))
    return documents, unread


def _commit_body(commit: "Commit", failed: "Sequence[Failure]") -> Json:
    return {
        "snapshot": commit.snapshot,
        "added": commit.added,
        "replaced": commit.replaced,
        "unchanged": commit.unchanged,
        "failed": [asdict(failure) for failure in failed],
        "passages": commit.passages,
        "warnings": commit.warnings,
        "hidden": commit.hidden,
    }
