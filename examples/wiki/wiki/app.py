"""The service. `uvicorn wiki.app:app`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typesystem
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

import orm
from orm.contrib.starlette import exception_handlers, get_or_404, lifespan
from wiki.models import Page, Revision, models

forms = typesystem.Jinja2Forms(package="typesystem")
templates = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)

VERSION = re.compile("[0-9]{1,9}")  # as the form carries it; a client can send anything
EditForm = typesystem.Schema(fields={"text": Page.schema.fields["text"]})


def render(template: str, status_code: int = 200, **values: Any) -> Response:
    return HTMLResponse(templates.get_template(template).render(values), status_code)


def to_page(request: Request, page: Page) -> Response:
    return RedirectResponse(request.url_for("read", title=page.title), status_code=303)


async def index(request: Request) -> Response:
    """The titles, of all pages or of those in which the text of `?q=` is."""
    q = request.query_params.get("q", "").replace("\0", "")  # which PostgreSQL refuses
    found = Page.objects.filter(orm.Q(title__icontains=q) | orm.Q(text__icontains=q)) if q else Page.objects.all()
    return render("index.html", titles=await found.values_list("title", flat=True), q=q)


async def read(request: Request) -> Response:
    return render("page.html", page=await get_or_404(Page, title=request.path_params["title"]))


async def history(request: Request) -> Response:
    pages = Page.objects.prefetch_related("revisions")
    return render("history.html", page=await get_or_404(pages, title=request.path_params["title"]))


async def new(request: Request) -> Response:
    """A form for a page, and the page that it makes."""
    form = forms.create_form(Page.schema)
    if request.method == "GET":
        return render("form.html", form=form)
    async with request.form() as data:
        form.validate(data)
    if not form.is_valid:
        return render("form.html", 422, form=form)
    try:
        page = await save(Page(**form.validated_data))
    except orm.UniqueViolation:
        form.errors = {"title": "There is a page of this title already."}
        return render("form.html", 409, form=form)
    return to_page(request, page)


async def edit(request: Request) -> Response:
    """A form for the text of a page. It carries the version that it shows; a later one is not overwritten."""
    page = await get_or_404(Page, title=request.path_params["title"])
    if request.method == "GET":
        form = forms.create_form(EditForm, values={"text": page.text})
        return render("form.html", form=form, page=page, version=page.version)

    form = forms.create_form(EditForm)
    async with request.form() as data:
        form.validate(data)
        version = str(data.get("version", ""))
    if not form.is_valid or not VERSION.fullmatch(version):
        return render("form.html", 422, form=form, page=page, version=version)
    edited = Page(id=page.id, title=page.title, text=form.validated_data["text"], version=int(version))
    try:
        await save(edited, force_update=True)
    except orm.StaleObject:
        await page.load()  # as it is now
        return render("form.html", 409, form=form, page=page, version=page.version, conflict=True)
    return to_page(request, edited)


async def save(page: Page, **options: Any) -> Page:
    """Write a page and its revision: both, or none."""
    async with models.database.transaction():
        await page.save(**options)
        await Revision.objects.create(page=page, number=page.version, text=page.text)
    return page


app = Starlette(
    routes=[
        Route("/", index),
        Route("/new", new, methods=["GET", "POST"]),
        Route("/pages/{title}", read, name="read"),
        Route("/pages/{title}/edit", edit, methods=["GET", "POST"]),
        Route("/pages/{title}/history", history),
    ],
    exception_handlers=exception_handlers,
    lifespan=lifespan(models.database),
)
