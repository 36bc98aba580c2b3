-- The demo's shop in SQLite. Money is text: a decimal there would become a binary float.
create table customers (
  id text not null primary key,
  name text not null,
  email text not null,
  city text not null,
  points integer not null default 0
);

create table products (
  sku text not null primary key,
  name text not null,
  price text not null,
  attrs text not null default '{}'
);

create table orders (
  id text not null primary key,
  customer_id text not null references customers,
  placed_by text not null,
  status text not null,
  total text not null,
  placed_at text not null
);
create index orders_customer on orders (customer_id);

create table order_items (
  order_id text not null references orders,
  line integer not null,
  sku text not null references products,
  quantity integer not null check (quantity > 0),
  unit_price text not null,
  primary key (order_id, line)
);

create table stock (
  store text not null,
  sku text not null references products,
  quantity integer not null check (quantity >= 0),
  primary key (store, sku)
);
