"""`crud_router()` of FastAPI and of Litestar over HTTP, on each database: rows, lists, pages, and what is refused."""

import datetime
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pydantic
import pytest

import orm
from orm.contrib.pydantic import create_model, read_model
from tests.contrib.music import create_rows, define_models
from tests.contrib.web_frameworks import FRAMEWORKS, client_of

pytestmark = pytest.mark.anyio

FILTERS = ["name__regex", "day__range", "day__in", "at__gte", "id", "price", "name"]


@pytest.fixture(params=FRAMEWORKS)
def web(request: pytest.FixtureRequest) -> Any:
    return FRAMEWORKS[request.param]


@pytest.fixture
async def shop(database: Any) -> AsyncIterator[Any]:
    models = orm.ModelRegistry(database=database)

    class Maker(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        tenant = orm.Integer()

    class Label(orm.Model):
        registry = models

        name = orm.String(max_length=20, primary_key=True)
        note = orm.String(max_length=20, default="none")

    class Item(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=20)
        price = orm.Decimal(max_digits=6, decimal_places=2, default=1)
        day = orm.Date(default=datetime.date(2020, 1, 1))
        at = orm.DateTime(timezone=True, default=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc))
        maker = orm.ForeignKey(Maker, allow_null=True)
        labels = orm.ManyToMany(Label)

    await models.create_all()
    yield SimpleNamespace(registry=models, Maker=Maker, Label=Label, Item=Item)
    await models.drop_all()


def web_client(web: Any, *routers: Any) -> httpx.AsyncClient:
    return client_of(web.application(*routers))


async def refusal(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> tuple[Any, str]:
    """The place and the text of the only message of a 422."""
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    [message] = answer.json()["detail"]
    return message["loc"], message["msg"]


# Filters and pages


@pytest.mark.parametrize("days", [["2020-01-01"], ["2020-01-01", "2020-02-01", "2020-03-01"]])
async def test_range_takes_two_values(web: Any, shop: Any, days: list[str]) -> None:
    async with web_client(web, web.crud_router(shop.Item, filters=FILTERS)) as client:
        query = "&".join(f"day__range={day}" for day in days)
        loc, text = await refusal(client, "GET", f"/item?{query}")
        assert (loc, "2 items" in text) == (["query", "day__range"], True)
        assert (await client.get("/item?day__range=2020-01-01&day__range=2020-02-01")).status_code == 200


@pytest.mark.parametrize(
    "moment, text",
    [
        ("9999-12-31T23:59:59-12:00", "Must be between the years 1 and 9999 in UTC."),
        ("0001-01-01T00:00:00%2B12:00", "Must be between the years 1 and 9999 in UTC."),
        ("2020-01-01T00:00:00", "Must have a timezone"),
        ("2020-01-01", "Must be a valid datetime format."),
    ],
)
async def test_moments_of_filters_are_those_that_bodies_take(web: Any, shop: Any, moment: str, text: str) -> None:
    async with web_client(web, web.crud_router(shop.Item, filters=FILTERS)) as client:
        loc, message = await refusal(client, "GET", f"/item?at__gte={moment}")
        assert (loc, message[: len(text)]) == (["query", "at__gte"], text)
        await shop.Item.objects.create(name="Cup")
        for known, number in (("2020-01-01T00:00:00Z", 1), ("2020-01-01T00:00:00-02:00", 0)):
            assert len((await client.get(f"/item?at__gte={known}")).json()["items"]) == number


@pytest.mark.parametrize("number", ["1_0", "٣", "%201"])
async def test_numbers_are_written_in_ascii_digits(web: Any, shop: Any, number: str) -> None:
    async with web_client(web, web.crud_router(shop.Item, filters=FILTERS)) as client:
        for key in (1, 3, 10):
            await shop.Item.objects.create(id=key, name="Cup")
        for method in ("GET", "DELETE"):
            assert (await client.request(method, f"/item/{number}")).status_code == 404
        for name, text in (("id", "Must be a valid integer."), ("price", "Must be a valid decimal.")):
            assert await refusal(client, "GET", f"/item?{name}={number}") == (["query", name], text)
        assert (await client.get("/item/10")).json()["id"] == 10


@pytest.mark.parametrize("expression", ["(", "["])
async def test_expression_that_the_database_cannot_read_is_named(web: Any, shop: Any, expression: str) -> None:
    await shop.Item.objects.create(name="Cup")
    async with web_client(web, web.crud_router(shop.Item, filters=FILTERS)) as client:
        loc, text = await refusal(client, "GET", f"/item?name__regex={expression}")
        assert (loc, text) == (["query", "name__regex"], "Must be a regular expression of the database.")
        assert len((await client.get("/item?name__regex=^C")).json()["items"]) == 1


async def test_cursors_are_null_where_there_is_no_page(web: Any, shop: Any) -> None:
    for name in "abc":
        await shop.Item.objects.create(name=name)
    async with web_client(web, web.crud_router(shop.Item, page_size=2)) as client:
        first = (await client.get("/item")).json()
        assert (first["has_next"], first["previous_cursor"]) == (True, None)
        last = (await client.get("/item", params={"after": first["next_cursor"]})).json()
        assert (len(last["items"]), last["has_next"], last["next_cursor"]) == (1, False, None)
        assert (await client.get("/item", params={"before": last["previous_cursor"]})).json()["items"] == first["items"]
        two = (await client.get("/item?size=2")).json()["next_cursor"]
        await shop.Item.objects.filter(name="c").delete()
        empty = (await client.get("/item", params={"after": two})).json()
        assert (empty["items"], empty["has_next"], empty["next_cursor"]) == ([], False, None)
        assert empty["previous_cursor"] is not None


# Rows that the queryset does not have


async def test_rows_that_the_queryset_would_not_have_are_not_written(web: Any, shop: Any) -> None:
    ours, theirs = [await shop.Maker.objects.create(tenant=tenant) for tenant in (1, 2)]
    hidden = await shop.Item.objects.create(name="Hidden", maker=theirs)
    async with web_client(
        web, web.crud_router(shop.Item, queryset=shop.Item.objects.filter(maker__tenant=1))
    ) as client:
        outside = (["body"], "The row with these values would not be one of the rows of this list.")
        assert (await client.post("/item", json={"name": "Cup", "maker_id": ours.id})).status_code == 201
        row = (await client.get("/item")).json()["items"][0]
        path = f"/item/{row['id']}"
        for maker in (theirs.id, None):
            assert await refusal(client, "POST", "/item", {"name": "Jug", "maker_id": maker}) == outside
            assert await refusal(client, "PATCH", path, {"name": "Jug", "maker_id": maker}) == outside
            assert await refusal(client, "PUT", path, {"name": "Jug", "maker_id": maker}) == outside
        for method in ("PATCH", "PUT"):
            body = {"name": "Jug", "maker_id": ours.id}
            assert (await client.request(method, f"/item/{hidden.id}", json=body)).status_code == 404
        assert (await client.get("/item")).json()["items"] == [row]
        assert await shop.Item.objects.order_by("id").values_list("name", flat=True) == ["Hidden", "Cup"]
        assert (await client.patch(path, json={"name": "Bowl"})).json() == {**row, "name": "Bowl"}
        assert (await client.put(path, json={"name": "Jug", "maker_id": ours.id})).json()["name"] == "Jug"


async def test_router_without_a_queryset_looks_for_no_rows_after_a_write(web: Any, shop: Any) -> None:
    async with web_client(web, web.crud_router(shop.Item)) as client:
        with orm.track_queries() as tracker:
            assert (await client.post("/item", json={"name": "Cup"})).status_code == 201
        assert len(tracker) == 1


# Primary keys


async def test_primary_key_of_a_row_cannot_be_changed(web: Any, shop: Any) -> None:
    async with web_client(web, web.crud_router(shop.Item), web.crud_router(shop.Label)) as client:
        await shop.Item.objects.create(id=1, name="Cup")
        await shop.Label.objects.create(name="blue")
        for method in ("PATCH", "PUT"):
            for key in (2, "2", None, "x"):
                body = {"id": key, "name": "Jug"}
                assert await refusal(client, method, "/item/1", body) == (
                    ["body", "id"],
                    "The primary key of a row cannot be changed.",
                )
            assert await refusal(client, method, "/label/blue", {"name": "red", "note": "x"}) == (
                ["body", "name"],
                "The primary key of a row cannot be changed.",
            )
            assert (await client.request(method, "/item/1", json={"id": 1, "name": "Cup"})).status_code == 200
        body = {"name": "blue", "note": "sky"}
        assert (await client.put("/label/blue", json=body)).json() == body
        assert await shop.Item.objects.values_list("id", "name") == [(1, "Cup")]


async def test_replacing_a_row_needs_no_primary_key_in_the_body(web: Any, shop: Any) -> None:
    class OwnLabel(create_model(shop.Label)):  # type: ignore[misc]
        """A class of one's own."""

    routers = web.crud_router(shop.Label), web.crud_router(shop.Label, create=OwnLabel, path="/own")
    async with web_client(web, *routers) as client:
        await shop.Label.objects.create(name="blue", note="sky")
        for path in ("/label", "/own"):
            assert (await client.put(f"{path}/blue", json={"note": "sea"})).json() == {"name": "blue", "note": "sea"}
            assert (await client.put(f"{path}/blue", json={})).json() == {"name": "blue", "note": "none"}
            assert await refusal(client, "POST", path, {"note": "sea"}) == (["body", "name"], "Field required")
    document = web.openapi(web.application(*routers))
    assert not document["components"]["schemas"]["LabelReplace"].get("required")


async def test_deleting_a_row_that_others_refer_to_is_a_conflict(web: Any, database: Any) -> None:
    models = orm.ModelRegistry(database=database)

    class Shelf(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        shelf = orm.ForeignKey(Shelf, on_delete=orm.RESTRICT)

    await models.create_all()
    await Book.objects.create(shelf=await Shelf.objects.create())
    async with web_client(web, web.crud_router(Shelf, routes=["list", "delete"], path="/shelves")) as client:
        answer = await client.delete("/shelves/1")
        assert answer.status_code == 409
        assert answer.json()["detail"][0]["loc"] == ["body"]
        assert (await client.get("/shelves")).json()["items"] == [{"id": 1}]
        assert (await client.post("/shelves", json={})).status_code == 405
    await models.drop_all()


async def test_rows_with_a_composite_key_have_a_path_of_its_parts(web: Any, database: Any) -> None:
    models = orm.ModelRegistry(database=database)

    class Seat(orm.Model):
        registry = models

        row = orm.String(max_length=2, primary_key=True)
        number = orm.Integer(primary_key=True)
        label = orm.String(max_length=10, default="free")

    await models.create_all()
    async with web_client(web, web.crud_router(Seat)) as client:
        assert (await client.post("/seat", json={"row": "A", "number": 3})).status_code == 201
        assert (await client.patch("/seat/A/3", json={"label": "taken"})).json()["label"] == "taken"
        assert (await client.put("/seat/A/3", json={"row": "B", "number": 3})).status_code == 422
        assert (await client.put("/seat/A/3", json={})).json() == {"row": "A", "number": 3, "label": "free"}
        assert (await client.delete("/seat/A/3")).status_code == 204
        assert (await client.get("/seat/A/3")).status_code == 404
    await models.drop_all()


async def test_classes_of_ones_own_are_taken(web: Any, database: Any) -> None:
    music = define_models(database)
    await create_rows(music)

    class ArtistCreate(create_model(music.Artist)):  # type: ignore[misc]
        name: str = "Anonymous"

    rows = music.Artist.objects.exclude(name="Nina")
    async with web_client(web, web.crud_router(music.Artist, create=ArtistCreate, queryset=rows)) as client:
        assert (await client.post("/artist", json={})).json() == {"id": 2, "name": "Anonymous"}
        assert [each["id"] for each in (await client.get("/artist")).json()["items"]] == [2]
        assert (await client.delete("/artist/1")).status_code == 404
    await music.registry.drop_all()


# Relations in bodies


async def test_relations_of_bodies_are_taken_by_their_name_and_lists_are_refused(web: Any, shop: Any) -> None:
    ours, theirs = [await shop.Maker.objects.create(tenant=tenant) for tenant in (1, 2)]
    async with web_client(web, web.crud_router(shop.Item)) as client:
        for name in ("maker", "maker_id"):
            item = (await client.post("/item", json={"name": "Cup", name: ours.id})).json()
            path = f"/item/{item['id']}"
            assert item["maker_id"] == ours.id
            assert (await client.patch(path, json={name: theirs.id})).json()["maker_id"] == theirs.id
            assert (await client.put(path, json={"name": "Jug", name: ours.id})).json()["maker_id"] == ours.id
            assert (await client.patch(path, json={"name": "Jug"})).json()["maker_id"] == ours.id
            loc, _ = await refusal(client, "POST", "/item", {"name": "Cup", name: "x"})
            assert loc == ["body", name]
        text = "Is a relation to several rows, which this request does not write."
        for method, path in (("POST", "/item"), ("PATCH", "/item/1"), ("PUT", "/item/1")):
            body = {"name": "Cup", "labels": ["blue"]}
            assert await refusal(client, method, path, body) == (["body", "labels"], text)
    schemas = web.openapi(web.application(web.crud_router(shop.Item)))["components"]["schemas"]
    assert "maker_id" in schemas["ItemCreate"]["properties"] and "maker" not in schemas["ItemCreate"]["properties"]


def test_class_of_ones_own_may_take_what_the_generated_one_refuses() -> None:
    models = orm.ModelRegistry(database=orm.Database("sqlite://"))

    class Label(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)

    class Item(orm.Model):
        registry = models
        id = orm.Integer(primary_key=True)
        labels = orm.ManyToMany(Label)
        others = orm.ManyToMany(Label, related_name="+")

    class Given(create_model(Item)):  # type: ignore[misc]
        labels: list[int] = []
        other_labels: list[int] = pydantic.Field(default=[], alias="others")

    both = Given.model_validate({"labels": [1], "others": [2]})
    assert (both.labels, both.other_labels) == ([1], [2])
    with pytest.raises(pydantic.ValidationError, match="labels\n  Is a relation to several rows"):
        create_model(Item).model_validate({"labels": [1]})


async def test_answer_with_a_nested_row_can_be_sent_back(web: Any, shop: Any) -> None:
    maker = await shop.Maker.objects.create(tenant=1)
    item = await shop.Item.objects.create(name="Cup", maker=maker)
    async with web_client(web, web.crud_router(shop.Item, read=read_model(shop.Item, nested=["maker"]))) as client:
        answer = (await client.get(f"/item/{item.id}")).json()
        assert answer["maker"] == {"id": maker.id, "tenant": 1}
        for method in ("PUT", "PATCH"):  # its maker_id counts, and its maker is ignored
            assert (await client.request(method, f"/item/{item.id}", json=answer)).json() == answer


async def test_filter_with_the_name_of_a_page_parameter_raises(web: Any, shop: Any) -> None:
    models = orm.ModelRegistry(database=shop.registry.database)

    class Shoe(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        size = orm.Integer()

    with pytest.raises(orm.FieldError, match=r"'size' of Shoe .* Use 'size__exact'"):
        web.crud_router(Shoe, filters=["size"])
    document = web.openapi(web.application(web.crud_router(Shoe, filters=["size__exact"])))
    names = [each["name"] for each in document["paths"]["/shoe"]["get"]["parameters"]]
    assert sorted(names) == ["after", "before", "size", "size__exact"]


async def test_fields_may_be_called_as_what_frameworks_pass_to_handlers(web: Any, database: Any) -> None:
    models = orm.ModelRegistry(database=database)

    class Order(orm.Model):
        registry = models

        state = orm.String(max_length=10, primary_key=True)
        body = orm.String(max_length=10)
        request = orm.Integer(default=1)
        data = orm.Integer(default=2)

    await models.create_all()
    async with web_client(web, web.crud_router(Order, filters=["state", "body", "request", "data"])) as client:
        order = (await client.post("/order", json={"state": "open", "body": "x"})).json()
        assert order == {"state": "open", "body": "x", "request": 1, "data": 2}
        assert (await client.get("/order/open")).json() == order
        for query in ("state=open", "body=x", "request=1", "data=2"):
            assert (await client.get(f"/order?{query}")).json()["items"] == [order]
        assert (await client.get("/order?state=closed")).json()["items"] == []
        assert (await client.delete("/order/open")).status_code == 204
    await models.drop_all()


async def test_two_routers_of_one_model_are_in_one_application(web: Any, shop: Any) -> None:
    routers = web.crud_router(shop.Label), web.crud_router(shop.Label, path="/labels", routes=["list"])
    async with web_client(web, *routers) as client:
        await shop.Label.objects.create(name="blue")
        assert (await client.get("/label")).json() == (await client.get("/labels")).json()
    assert {"/label", "/labels"} <= set(web.openapi(web.application(*routers))["paths"])
