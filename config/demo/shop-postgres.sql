-- The demo's shop in Postgres.
create schema shop;

create table shop.customers (
  id uuid primary key,
  name text not null,
  email text not null,
  city text not null,
  points bigint not null default 0
);

create table shop.products (
  sku text primary key,
  name text not null,
  price numeric(10, 2) not null,
  attrs jsonb not null default '{}'
);

create table shop.orders (
  id uuid primary key,
  customer_id uuid not null references shop.customers,
  placed_by text not null,
  status text not null,
  total numeric(12, 2) not null,
  placed_at timestamptz not null
);
create index orders_customer on shop.orders (customer_id);

create table shop.order_items (
  order_id uuid not null references shop.orders,
  line integer not null,
  sku text not null references shop.products,
  quantity integer not null check (quantity > 0),
  unit_price numeric(10, 2) not null,
  primary key (order_id, line)
);

create table shop.stock (
  store text not null,
  sku text not null references shop.products,
  quantity integer not null check (quantity >= 0),
  primary key (store, sku)
);
