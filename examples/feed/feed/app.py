"""The service. `uvicorn feed.app:app`, then see /docs."""

import hashlib
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

import orm
from feed.models import Follow, Like, Post, User, models
from orm.contrib.fastapi import (
    PageOf,
    PageRequest,
    error_responses,
    exception_handlers,
    get_or_404,
    lifespan,
    page_request,
)
from orm.contrib.pydantic import create_model, read_model, update_model

app = FastAPI(
    title="Feed",
    lifespan=lifespan(models.database),
    exception_handlers=exception_handlers,
    responses={401: {"description": "A token is needed"}, **error_responses()},
)

# What comes in and goes out. The constraints are those of the models.

UserCreate = create_model(User, include=["name", "bio"])
PostCreate = create_model(Post, include=["text"])
PostUpdate = update_model(Post, include=["text"])


class NewUser(read_model(User, exclude=["token_hash"])):
    token: str


class UserRead(read_model(User, exclude=["token_hash"])):
    posts_count: int
    followers_count: int


class PostRead(read_model(Post, exclude=["author"], nested={"author": {"include": ["name"]}})):
    likes_count: int
    liked: bool


# Who asks


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def current_user(
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> User:
    """The user whose token the request has, or the answer 401."""
    user = await User.objects.get_or_none(token_hash=hashed(given.credentials)) if given else None
    if user is None:
        raise HTTPException(401, "A token is needed: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})
    return user


Me = Annotated[User, Depends(current_user)]
Page = Annotated[PageRequest, page_request(size=20, max_size=100)]


def posts_for(me: User):
    """All posts, the newest first, with their authors, how many like each, and whether `me` does: one statement."""
    liked = orm.Exists(Like.objects.filter(post=orm.OuterRef("pk"), user=me))
    posts = Post.objects.select_related("author").order_by("-id")
    return posts.annotate(likes_count=orm.Count("likes", distinct=True), liked=liked)


# Users


@app.post("/users", status_code=201)
async def sign_up(given: UserCreate) -> NewUser:
    """Create a user. The answer has the token, which is shown only once."""
    token = secrets.token_urlsafe()
    user = await User.objects.create(**given.model_dump(), token_hash=hashed(token))
    user.token = token
    return NewUser.model_validate(user)


@app.get("/users/{name}")
async def read_user(name: str) -> UserRead:
    users = User.objects.annotate(
        posts_count=orm.Count("posts", distinct=True), followers_count=orm.Count("followers", distinct=True)
    )
    return UserRead.model_validate(await get_or_404(users, name=name))


@app.put("/users/{name}/follow", status_code=204)
async def follow(name: str, me: Me) -> None:
    await Follow.objects.get_or_create(follower=me, followed=await get_or_404(User, name=name))


@app.delete("/users/{name}/follow", status_code=204)
async def unfollow(name: str, me: Me) -> None:
    await Follow.objects.filter(follower=me, followed=await get_or_404(User, name=name)).delete()


# Posts


@app.get("/feed")
async def read_feed(me: Me, page: Page) -> PageOf[PostRead]:
    """The posts of those whom you follow, the newest first."""
    return await page.fetch(posts_for(me).filter(author__followers__follower=me))


@app.get("/users/{name}/posts")
async def list_posts(name: str, me: Me, page: Page) -> PageOf[PostRead]:
    author = await get_or_404(User, name=name)
    return await page.fetch(posts_for(me).filter(author=author))


@app.post("/posts", status_code=201)
async def write_post(given: PostCreate, me: Me) -> PostRead:
    post = await Post.objects.create(author=me, **given.model_dump())
    return await read_post(post.id, me)


@app.get("/posts/{id}")
async def read_post(id: int, me: Me) -> PostRead:
    return PostRead.model_validate(await get_or_404(posts_for(me), id=id))


@app.patch("/posts/{id}")
async def edit_post(id: int, given: PostUpdate, me: Me) -> PostRead:
    """Change a post of your own; one of another user is a 404."""
    post = await get_or_404(Post, id=id, author=me)
    await post.update(**given.model_dump())
    return await read_post(id, me)


@app.delete("/posts/{id}", status_code=204)
async def delete_post(id: int, me: Me) -> None:
    await (await get_or_404(Post, id=id, author=me)).delete()


@app.put("/posts/{id}/like", status_code=204)
async def like(id: int, me: Me) -> None:
    await Like.objects.get_or_create(user=me, post=await get_or_404(Post, id=id))


@app.delete("/posts/{id}/like", status_code=204)
async def unlike(id: int, me: Me) -> None:
    await Like.objects.filter(user=me, post=id).delete()
