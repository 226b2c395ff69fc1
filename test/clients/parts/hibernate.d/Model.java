import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import javax.persistence.*;
import org.hibernate.annotations.SQLDelete;

/** The entities: keys that begin with a tenant, and join tables. */
class Model
{
    static final Class<?>[] ENTITIES = {Tenant.class, Tag.class, Order.class, Line.class, Stock.class, Node.class,
        Leaf.class, Person.class, Board.class, Plant.class, Point.class, Reading.class, Canary.class};

    /** Number of a row within its tenant. */
    @Embeddable
    static class Key implements Serializable
    {
        @Column(name = "tenant_id")
        int tenant;
        int id;

        Key()
        {
        }

        Key(int tenant, int id)
        {
            this.tenant = tenant;
            this.id = id;
        }

        @Override
        public boolean equals(Object o)
        {
            return o instanceof Key && ((Key) o).tenant == tenant && ((Key) o).id == id;
        }

        @Override
        public int hashCode()
        {
            return Objects.hash(tenant, id);
        }
    }

    @Embeddable
    static class LineKey implements Serializable
    {
        @Column(name = "tenant_id")
        int tenant;
        @Column(name = "order_id")
        int order;
        int no;

        LineKey()
        {
        }

        LineKey(int tenant, int order, int no)
        {
            this.tenant = tenant;
            this.order = order;
            this.no = no;
        }

        @Override
        public boolean equals(Object o)
        {
            return o instanceof LineKey && ((LineKey) o).tenant == tenant && ((LineKey) o).order == order
                && ((LineKey) o).no == no;
        }

        @Override
        public int hashCode()
        {
            return Objects.hash(tenant, order, no);
        }
    }

    @Entity(name = "Tenant")
    @Table(name = "tenant")
    static class Tenant
    {
        @Id
        int id;
        String name;
        boolean closed;
    }

    @Entity(name = "Tag")
    @Table(name = "tag")
    static class Tag
    {
        @EmbeddedId
        Key key;
        String label;
        @ManyToMany(mappedBy = "tags")
        Set<Order> orders = new LinkedHashSet<>();
    }

    @Entity(name = "Purchase")
    @Table(name = "orders")
    static class Order
    {
        @EmbeddedId
        Key key;
        @ManyToOne(fetch = FetchType.LAZY)
        @JoinColumn(name = "tenant_id", insertable = false, updatable = false)
        Tenant tenant;
        String state = "open";
        int total;
        @Version
        int version;
        @OneToMany(mappedBy = "order", cascade = CascadeType.ALL, orphanRemoval = true)
        @OrderBy("key.no")
        List<Line> lines = new ArrayList<>();
        @ManyToMany
        @JoinTable(name = "order_tag",
            joinColumns = {@JoinColumn(name = "tenant_id", referencedColumnName = "tenant_id"),
                @JoinColumn(name = "order_id", referencedColumnName = "id")},
            inverseJoinColumns = {@JoinColumn(name = "tag_tenant_id", referencedColumnName = "tenant_id"),
                @JoinColumn(name = "tag_id", referencedColumnName = "id")})
        Set<Tag> tags = new LinkedHashSet<>();
        @ElementCollection
        @CollectionTable(name = "order_note", joinColumns = {
            @JoinColumn(name = "tenant_id", referencedColumnName = "tenant_id"),
            @JoinColumn(name = "order_id", referencedColumnName = "id")})
        @Column(name = "note")
        Collection<String> notes = new ArrayList<>();
    }

    @Entity(name = "Line")
    @Table(name = "line")
    static class Line
    {
        @EmbeddedId
        LineKey key;
        @ManyToOne(fetch = FetchType.LAZY)
        @JoinColumns({
            @JoinColumn(name = "tenant_id", referencedColumnName = "tenant_id", insertable = false, updatable = false),
            @JoinColumn(name = "order_id", referencedColumnName = "id", insertable = false, updatable = false)})
        Order order;
        String item;
        int amount;
    }

    /** Never deleted, only hidden. */
    @Entity(name = "Stock")
    @Table(name = "stock")
    @SQLDelete(sql = "UPDATE stock SET gone = true WHERE id = ? AND tenant_id = ?")
    static class Stock
    {
        @EmbeddedId
        Key key;
        int n;
        boolean gone;
    }

    /** A tree of two tables. */
    @Entity(name = "Node")
    @Table(name = "node")
    @Inheritance(strategy = InheritanceType.JOINED)
    static class Node
    {
        @EmbeddedId
        Key key;
        String path = "";
        @Column(name = "parent_id")
        Integer parent;
    }

    @Entity(name = "Leaf")
    @Table(name = "leaf")
    static class Leaf extends Node
    {
        int weight;
    }

    @Entity(name = "Person")
    @Table(name = "person")
    static class Person
    {
        @Id
        @GeneratedValue
        int id;
        String name;
        boolean active;
        @ManyToMany
        @JoinTable(name = "watcher", joinColumns = @JoinColumn(name = "person_id"),
            inverseJoinColumns = @JoinColumn(name = "board_id"))
        Set<Board> boards = new LinkedHashSet<>();
    }

    @Entity(name = "Board")
    @Table(name = "board")
    static class Board
    {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        int id;
        String name;
    }

    @Entity(name = "Plant")
    @Table(name = "plant")
    static class Plant
    {
        @Id
        int id;
        String vendor;
    }

    @Embeddable
    static class PointKey implements Serializable
    {
        @Column(name = "plant_id")
        int plant;
        int id;

        PointKey()
        {
        }

        PointKey(int plant, int id)
        {
            this.plant = plant;
            this.id = id;
        }

        @Override
        public boolean equals(Object o)
        {
            return o instanceof PointKey && ((PointKey) o).plant == plant && ((PointKey) o).id == id;
        }

        @Override
        public int hashCode()
        {
            return Objects.hash(plant, id);
        }
    }

    @Embeddable
    static class ReadingKey implements Serializable
    {
        @Column(name = "plant_id")
        int plant;
        @Column(name = "point_id")
        int point;
        @Temporal(TemporalType.TIMESTAMP)
        Date at;

        ReadingKey()
        {
        }

        ReadingKey(int plant, int point, Date at)
        {
            this.plant = plant;
            this.point = point;
            this.at = at;
        }

        @Override
        public boolean equals(Object o)
        {
            return o instanceof ReadingKey && ((ReadingKey) o).plant == plant && ((ReadingKey) o).point == point
                && ((ReadingKey) o).at.equals(at);
        }

        @Override
        public int hashCode()
        {
            return Objects.hash(plant, point, at);
        }
    }

    @Entity(name = "Point")
    @Table(name = "point")
    static class Point
    {
        @EmbeddedId
        PointKey key;
        @ManyToOne
        @JoinColumn(name = "plant_id", insertable = false, updatable = false)
        Plant plant;
        String name;
        int value;
    }

    @Entity(name = "Reading")
    @Table(name = "reading")
    static class Reading
    {
        @EmbeddedId
        ReadingKey key;
        int value;
    }

    @Entity(name = "Canary")
    @Table(name = "canary")
    static class Canary
    {
        @EmbeddedId
        PointKey key;
        @ManyToOne
        @JoinColumn(name = "plant_id", insertable = false, updatable = false)
        Plant plant;
        String name;
    }
}
