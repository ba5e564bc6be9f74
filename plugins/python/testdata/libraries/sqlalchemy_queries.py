# {"pools": "exclusive shared", "needs": "sqlalchemy", "times": 2, "want": {"data": [["ada", 2], ["bob", 1]]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""SQLAlchemy's mapper on SQLite: classes, a relation, a query."""

from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, func
from sqlalchemy.orm import Session, declarative_base, relationship

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    letters = relationship("Letter", back_populates="user")


class Letter(Base):
    __tablename__ = "letters"
    id = Column(Integer, primary_key=True)
    user_id = Column(ForeignKey("users.id"))
    user = relationship("User", back_populates="letters")


def main(params, context):
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([User(name="ada", letters=[Letter(), Letter()]), User(name="bob", letters=[Letter()])])
        session.commit()
        rows = session.query(User.name, func.count(Letter.id)).join(User.letters).group_by(User.name).order_by(User.name).all()
    engine.dispose()
    return [list(row) for row in rows]
