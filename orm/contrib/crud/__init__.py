"""What the CRUD routers of FastAPI and of Litestar share: rows, filters, pages, and what is answered to errors."""
