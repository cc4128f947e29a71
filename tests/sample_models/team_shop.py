"""The models of a shop with tenants, as a team would write them: forty tables and more, on every database.

Money, stock, prices for periods, addresses, soft deletion, audit and an outbox.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any

import orm
from orm import Q
from orm.functions import Lower, Now

models = orm.ModelRegistry(require_all=True)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


# Tenants: every query is about the rows of one.

current_tenant: ContextVar[int | None] = ContextVar("current_tenant", default=None)


@contextlib.contextmanager
def tenant(key: int) -> Iterator[None]:
    token = current_tenant.set(key)
    try:
        yield
    finally:
        current_tenant.reset(token)


def tenant_or_refusal() -> int:
    key = current_tenant.get()
    if key is None:
        raise orm.QueryError("This query is about the rows of a tenant, and there is none.")
    return key


class Rows(orm.QuerySet[Any, Any]):
    def named(self, text: str) -> Any:
        return self.filter(name__icontains=text)


class TenantManager(orm.Manager.from_queryset(Rows)):  # type: ignore[misc]
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(tenant_id=tenant_or_refusal())


class LivingManager(TenantManager):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(deleted_at=None)


class Base(orm.Model):
    registry = models

    class Meta:
        abstract = True


class Timed(Base):
    created = orm.DateTime(timezone=True, auto_now_add=True)
    updated = orm.DateTime(timezone=True, auto_now=True)

    class Meta:
        abstract = True


class Owned(Timed):
    """A row of a tenant."""

    tenant = orm.ForeignKey("Tenant", on_delete=orm.CASCADE, default=tenant_or_refusal, related_name="+")
    objects = TenantManager()
    of_all_tenants = orm.Manager()

    class Meta:
        abstract = True
        track_changes = True


class SoftDeleted(Owned):
    deleted_at = orm.DateTime(timezone=True, allow_null=True, index=True)
    objects = LivingManager()

    class Meta:
        abstract = True
        track_changes = True

    async def delete(self) -> int:
        await self.update(deleted_at=now())
        return 1


# Values of several columns.


@dataclass
class Address:
    street: Annotated[str, orm.String(max_length=80)]
    city: Annotated[str, orm.String(max_length=60)]
    postcode: Annotated[str, orm.String(max_length=12)]
    country: Annotated[str, orm.String(max_length=2)] = "DE"


def money(**options: Any) -> Any:
    return orm.Decimal(max_digits=12, decimal_places=2, **options)


class OrderState(enum.Enum):
    cart = "cart"
    placed = "placed"
    paid = "paid"
    shipped = "shipped"
    cancelled = "cancelled"


class MovementKind(enum.Enum):
    receipt = "receipt"
    sale = "sale"
    correction = "correction"


# Tables that all tenants share.


class Country(Base):
    code = orm.String(max_length=2, primary_key=True)
    name = orm.String(max_length=60)


class Currency(Base):
    code = orm.String(max_length=3, primary_key=True)
    digits = orm.PositiveSmallInteger(default=2)


class TaxRate(Base):
    id = orm.Integer(primary_key=True)
    country = orm.ForeignKey(Country, on_delete=orm.CASCADE, related_name="tax_rates")
    name = orm.String(max_length=20)
    percent = orm.Decimal(max_digits=5, decimal_places=2, minimum=0)

    class Meta:
        constraints = [orm.UniqueConstraint("country", "name", name="one_tax_rate_of_a_name")]


class Tenant(Timed):
    id = orm.Integer(primary_key=True)
    slug = orm.Slug(max_length=40, unique=True)
    name = orm.String(max_length=80)
    currency = orm.ForeignKey(Currency, on_delete=orm.RESTRICT, related_name="tenants")


class Person(Timed):
    id = orm.Integer(primary_key=True)
    email = orm.Email(max_length=120)
    name = orm.String(max_length=80)
    is_active = orm.Boolean(default=True)

    class Meta:
        tablename = "people"
        constraints = [
            orm.UniqueConstraint(Lower("email"), name="one_person_per_email", message="This address is taken.")
        ]


class Permission(Base):
    code = orm.String(max_length=40, primary_key=True)


class Role(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=40)
    permissions = orm.ManyToMany(Permission, related_name="roles")

    class Meta:
        constraints = [orm.UniqueConstraint("tenant", "name", name="one_role_of_a_name")]


class Membership(Owned):
    id = orm.Integer(primary_key=True)
    person = orm.ForeignKey(Person, on_delete=orm.CASCADE, related_name="memberships")
    role = orm.ForeignKey(Role, on_delete=orm.RESTRICT, related_name="memberships")

    class Meta:
        constraints = [orm.UniqueConstraint("tenant", "person", name="one_membership_per_person")]


# The catalogue.


class Category(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=60)
    parent = orm.ForeignKey("Category", allow_null=True, on_delete=orm.CASCADE, related_name="children")

    class Meta:
        ordering = ["name"]


class Brand(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=60)


class Tag(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class Product(SoftDeleted):
    id = orm.Integer(primary_key=True)
    slug = orm.Slug(max_length=60)
    name = orm.String(max_length=120)
    description = orm.Text(default="", allow_blank=True)
    category = orm.ForeignKey(Category, on_delete=orm.RESTRICT, related_name="products")
    brand = orm.ForeignKey(Brand, allow_null=True, on_delete=orm.SET_NULL, related_name="products")
    tax = orm.ForeignKey(TaxRate, on_delete=orm.RESTRICT, related_name="products")
    details = orm.JSON(default=dict)
    tags = orm.ManyToMany(Tag, related_name="products")

    class Meta:
        indexes = [orm.Index("tenant", "category"), orm.Index(Lower("name"), name="product_by_lower_name")]
        constraints = [
            orm.UniqueConstraint(
                "tenant",
                "slug",
                name="one_living_product_of_a_slug",
                condition=Q(deleted_at=None),
                message="There is a product with this slug.",
            )
        ]


class ProductImage(Owned):
    id = orm.Integer(primary_key=True)
    product = orm.ForeignKey(Product, on_delete=orm.CASCADE, related_name="images")
    url = orm.URL(max_length=200)
    position = orm.PositiveInteger(default=0)

    class Meta:
        ordering = ["position"]


class Attribute(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=30)


class AttributeValue(Owned):
    id = orm.Integer(primary_key=True)
    attribute = orm.ForeignKey(Attribute, on_delete=orm.CASCADE, related_name="values_of_it")
    text = orm.String(max_length=40)


class Variant(SoftDeleted):
    id = orm.Integer(primary_key=True)
    product = orm.ForeignKey(Product, on_delete=orm.CASCADE, related_name="variants")
    sku = orm.String(max_length=30)
    weight = orm.PositiveInteger(default=0, comment="grams")
    attributes = orm.ManyToMany(AttributeValue, through="VariantAttribute", related_name="variants")

    class Meta:
        constraints = [orm.UniqueConstraint("tenant", "sku", name="one_living_sku", condition=Q(deleted_at=None))]


class VariantAttribute(Owned):
    id = orm.Integer(primary_key=True)
    variant = orm.ForeignKey(Variant, on_delete=orm.CASCADE, related_name="attribute_rows")
    value = orm.ForeignKey(AttributeValue, on_delete=orm.CASCADE, related_name="variant_rows")


# Prices for periods.


class PriceList(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=40)
    currency = orm.ForeignKey(Currency, on_delete=orm.RESTRICT, related_name="price_lists")


class Price(Owned):
    id = orm.Integer(primary_key=True)
    price_list = orm.ForeignKey(PriceList, on_delete=orm.CASCADE, related_name="prices")
    variant = orm.ForeignKey(Variant, on_delete=orm.CASCADE, related_name="prices")
    first_day = orm.Date()
    end_day = orm.Date(allow_null=True, comment="the first day on which it no longer applies")
    minimum_quantity = orm.PositiveInteger(default=1)
    amount = money(minimum=0)

    class Meta:
        indexes = [orm.Index("variant", "-first_day")]
        constraints = [
            orm.CheckConstraint(
                Q(end_day=None) | Q(end_day__gt=orm.F("first_day")),
                name="price_ends_after_it_begins",
                message="The period ends before it begins.",
            ),
            orm.UniqueConstraint("price_list", "variant", "first_day", "minimum_quantity", name="one_price_per_day"),
        ]


class Discount(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=60)
    percent = orm.Decimal(max_digits=5, decimal_places=2)
    categories = orm.ManyToMany(Category, related_name="discounts")

    class Meta:
        constraints = [
            orm.CheckConstraint(Q(percent__gt=0, percent__lte=100), name="percent_of_a_discount"),
        ]


class Voucher(Owned):
    id = orm.Integer(primary_key=True)
    code = orm.String(max_length=20)
    discount = orm.ForeignKey(Discount, on_delete=orm.CASCADE, related_name="vouchers")
    uses_left = orm.PositiveInteger(default=1)

    class Meta:
        constraints = [orm.UniqueConstraint("tenant", "code", name="one_voucher_of_a_code")]


# Stock and purchases.


class Warehouse(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=40)
    address = orm.Embedded(Address)


class Stock(Owned):
    id = orm.Integer(primary_key=True)
    warehouse = orm.ForeignKey(Warehouse, on_delete=orm.RESTRICT, related_name="stock")
    variant = orm.ForeignKey(Variant, on_delete=orm.RESTRICT, related_name="stock")
    quantity = orm.Integer(default=0)
    reserved = orm.Integer(default=0)
    version = orm.Version()

    class Meta:
        constraints = [
            orm.UniqueConstraint("warehouse", "variant", name="one_stock_per_warehouse"),
            orm.CheckConstraint(
                Q(quantity__gte=orm.F("reserved")), name="no_more_reserved_than_there_is", message="Out of stock."
            ),
            orm.CheckConstraint(Q(reserved__gte=0), name="reserved_is_not_negative"),
        ]


class StockMovement(Owned):
    id = orm.UUID(primary_key=True, version=7)
    stock = orm.ForeignKey(Stock, on_delete=orm.RESTRICT, related_name="movements")
    kind = orm.Enum(MovementKind)
    quantity = orm.Integer()
    at = orm.DateTime(timezone=True, server_default=Now())


class Supplier(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=60)
    address = orm.Embedded(Address, allow_null=True)


class SupplierItem(Owned):
    id = orm.Integer(primary_key=True)
    supplier = orm.ForeignKey(Supplier, on_delete=orm.CASCADE, related_name="items")
    variant = orm.ForeignKey(Variant, on_delete=orm.CASCADE, related_name="supplier_items")
    cost = money(minimum=0)
    delivery_time = orm.Duration(allow_null=True)


class Purchase(Owned):
    id = orm.Integer(primary_key=True)
    supplier = orm.ForeignKey(Supplier, on_delete=orm.RESTRICT, related_name="purchases")
    ordered_on = orm.Date()


class PurchaseLine(Owned):
    id = orm.Integer(primary_key=True)
    purchase = orm.ForeignKey(Purchase, on_delete=orm.CASCADE, related_name="lines")
    variant = orm.ForeignKey(Variant, on_delete=orm.RESTRICT, related_name="purchase_lines")
    quantity = orm.PositiveInteger()
    cost = money(minimum=0)


# Customers and orders.


class Customer(SoftDeleted):
    id = orm.Integer(primary_key=True)
    email = orm.Email(max_length=120)
    name = orm.String(max_length=80)
    billing = orm.Embedded(Address)
    shipping = orm.Embedded(Address, prefix="ship_", allow_null=True)
    price_list = orm.ForeignKey(PriceList, allow_null=True, on_delete=orm.SET_NULL, related_name="customers")

    class Meta:
        indexes = [orm.Index("billing__city")]
        constraints = [
            orm.UniqueConstraint(
                "tenant",
                "email",
                name="one_living_customer_per_email",
                condition=Q(deleted_at=None),
                message="There is a customer with this address.",
            )
        ]


class CustomerNote(Owned):
    id = orm.Integer(primary_key=True)
    customer = orm.ForeignKey(Customer, on_delete=orm.CASCADE, related_name="notes")
    author = orm.ForeignKey(Person, allow_null=True, on_delete=orm.SET_NULL, related_name="notes")
    text = orm.Text()


class Wishlist(Owned):
    id = orm.Integer(primary_key=True)
    customer = orm.OneToOne(Customer, on_delete=orm.CASCADE, related_name="wishlist")
    products = orm.ManyToMany(Product, related_name="wishlists")


class Review(Owned):
    id = orm.Integer(primary_key=True)
    product = orm.ForeignKey(Product, on_delete=orm.CASCADE, related_name="reviews")
    customer = orm.ForeignKey(Customer, on_delete=orm.CASCADE, related_name="reviews")
    stars = orm.SmallInteger(minimum=1, maximum=5)
    text = orm.Text(default="", allow_blank=True)

    class Meta:
        constraints = [orm.UniqueConstraint("product", "customer", name="one_review_per_customer")]


class Order(Owned):
    id = orm.Integer(primary_key=True)
    number = orm.PositiveInteger()
    customer = orm.ForeignKey(Customer, on_delete=orm.RESTRICT, related_name="orders")
    state = orm.Enum(OrderState, default=OrderState.cart)
    placed_at = orm.DateTime(timezone=True, allow_null=True)
    ship_to = orm.Embedded(Address, prefix="ship_to_", allow_null=True)
    voucher = orm.ForeignKey(Voucher, allow_null=True, on_delete=orm.SET_NULL, related_name="orders")
    version = orm.Version()

    class Meta:
        tablename = "orders"
        ordering = ["-number"]
        constraints = [
            orm.UniqueConstraint("tenant", "number", name="one_order_of_a_number"),
            orm.CheckConstraint(
                Q(state=OrderState.cart) | Q(placed_at__isnull=False), name="orders_have_a_time_when_placed"
            ),
        ]


class OrderLine(Owned):
    id = orm.Integer(primary_key=True)
    order = orm.ForeignKey(Order, on_delete=orm.CASCADE, related_name="lines")
    variant = orm.ForeignKey(Variant, on_delete=orm.RESTRICT, related_name="order_lines")
    quantity = orm.PositiveInteger(minimum=1)
    price = money(minimum=0)
    total = orm.Generated(orm.F("quantity") * orm.F("price"), orm.Decimal(max_digits=14, decimal_places=2))


class Payment(Owned):
    id = orm.UUID(primary_key=True, version=7)
    order = orm.ForeignKey(Order, on_delete=orm.RESTRICT, related_name="payments")
    amount = money(minimum=0)
    provider = orm.String(max_length=20)
    reference = orm.String(max_length=60)

    class Meta:
        constraints = [orm.UniqueConstraint("provider", "reference", name="one_payment_per_reference")]


class Refund(Owned):
    id = orm.Integer(primary_key=True)
    payment = orm.ForeignKey(Payment, on_delete=orm.RESTRICT, related_name="refunds")
    amount = money(minimum=0)


class Carrier(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=40)


class Shipment(Owned):
    id = orm.Integer(primary_key=True)
    order = orm.ForeignKey(Order, on_delete=orm.RESTRICT, related_name="shipments")
    carrier = orm.ForeignKey(Carrier, on_delete=orm.RESTRICT, related_name="shipments")
    sent_at = orm.DateTime(timezone=True, allow_null=True)


class ShipmentLine(Owned):
    id = orm.Integer(primary_key=True)
    shipment = orm.ForeignKey(Shipment, on_delete=orm.CASCADE, related_name="lines")
    order_line = orm.ForeignKey(OrderLine, on_delete=orm.RESTRICT, related_name="shipment_lines")
    quantity = orm.PositiveInteger(minimum=1)


class Invoice(Owned):
    id = orm.Integer(primary_key=True)
    order = orm.OneToOne(Order, on_delete=orm.RESTRICT, related_name="invoice")
    number = orm.String(max_length=20)
    net = money()
    tax = money()
    gross = orm.Generated(orm.F("net") + orm.F("tax"), orm.Decimal(max_digits=14, decimal_places=2))

    class Meta:
        constraints = [orm.UniqueConstraint("tenant", "number", name="one_invoice_of_a_number")]


# Audit and outbox.


class AuditEntry(Base):
    id = orm.UUID(primary_key=True, version=7)
    tenant = orm.ForeignKey(Tenant, allow_null=True, on_delete=orm.SET_NULL, related_name="+")
    at = orm.DateTime(timezone=True, default=now)
    subject = orm.String(max_length=40)
    key = orm.String(max_length=60)
    action = orm.String(max_length=10)
    changed = orm.JSON(default=list)

    class Meta:
        indexes = [orm.Index("subject", "key")]


class OutboxEvent(Base):
    id = orm.UUID(primary_key=True, version=7)
    topic = orm.String(max_length=40)
    payload = orm.JSON()
    sent_at = orm.DateTime(timezone=True, allow_null=True)

    class Meta:
        indexes = [
            orm.Index("topic", condition=Q(sent_at=None), name="outbox_to_send", databases=["sqlite", "postgresql"])
        ]


class Setting(Owned):
    id = orm.Integer(primary_key=True)
    name = orm.String(max_length=40)
    value = orm.JSON()


AUDITED = (Product, Customer, Price, Order)


async def audit(sender: Any, instance: Any, created: bool, update_fields: Any, **_: Any) -> None:
    """Keep who was changed, in the transaction of the change."""
    await AuditEntry.objects.create(
        tenant_id=current_tenant.get(),
        subject=sender._meta.tablename,
        key=str(instance.pk),
        action="created" if created else "changed",
        changed=sorted(update_fields or ()),
    )


for each in AUDITED:
    orm.receiver(orm.post_save, sender=each)(audit)
