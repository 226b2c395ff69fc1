import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.hibernate.JDBCException;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.StaleObjectStateException;
import org.hibernate.StatelessSession;
import org.hibernate.cfg.Configuration;
import org.hibernate.stat.Statistics;
import org.hibernate.tool.hbm2ddl.SchemaExport;
import org.hibernate.tool.hbm2ddl.SchemaUpdate;
import org.postgresql.util.PSQLException;

/** Hibernate on keys of several columns, which it knows as such. */
public class Shop extends Model
{
    static SessionFactory factory;
    static int wrong;

    static void step(String name, Object have, Object want)
    {
        if (Objects.equals(have, want))
            System.out.println("ok - " + name);
        else
        {
            System.out.println("not ok - " + name + ": " + have + ", not " + want);
            wrong++;
        }
    }

    static <T> T in(Function<Session, T> work)
    {
        Session session = factory.openSession();
        try
        {
            session.beginTransaction();
            T result = work.apply(session);
            session.getTransaction().commit();
            return result;
        }
        catch (RuntimeException e)
        {
            session.getTransaction().rollback();
            throw e;
        }
        finally
        {
            session.close();
        }
    }

    static void run(Consumer<Session> work)
    {
        in(session ->
        {
            work.accept(session);
            return null;
        });
    }

    /** SQLSTATE, table and whether there is a hint of the error that work gets */
    static List<Object> sqlstate(Consumer<Session> work)
    {
        try
        {
            run(work);
            return null;
        }
        catch (JDBCException e)
        {
            SQLException cause = e.getSQLException();
            if (cause.getNextException() != null)
                cause = cause.getNextException();
            PSQLException reported = (PSQLException) cause;
            return Arrays.asList(e.getSQLState(), reported.getServerErrorMessage().getTable(),
                reported.getServerErrorMessage().getHint() != null);
        }
    }

    static List<Integer> counts(String... tables)
    {
        return in(session ->
        {
            List<Integer> result = new ArrayList<>();
            for (String table : tables)
                result.add(((Number) session.createSQLQuery("SELECT count(*) FROM " + table).uniqueResult()).intValue());
            return result;
        });
    }

    static int hql(String text)
    {
        return in(session -> session.createQuery(text).executeUpdate());
    }

    static int sql(String text)
    {
        return in(session -> session.createSQLQuery(text).executeUpdate());
    }

    static Configuration configuration(String options)
    {
        Configuration configuration = new Configuration()
            .setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect")
            .setProperty("hibernate.connection.driver_class", "org.postgresql.Driver")
            .setProperty("hibernate.connection.url", "jdbc:postgresql://localhost/" + System.getenv("PGDATABASE")
                + "?socketFactory=LocalSocket&sslmode=disable&gssEncMode=disable&reWriteBatchedInserts=true" + options)
            .setProperty("hibernate.connection.username", System.getenv("PGUSER"))
            .setProperty("hibernate.jdbc.batch_size", "20")
            .setProperty("hibernate.order_inserts", "true")
            .setProperty("hibernate.order_updates", "true")
            .setProperty("hibernate.generate_statistics", "true");
        for (Class<?> entity : ENTITIES)
            configuration.addAnnotatedClass(entity);
        return configuration;
    }

    public static void main(String[] arguments)
    {
        Logger.getLogger("").setLevel(Level.OFF);
        System.out.println("# JDBC " + org.postgresql.Driver.class.getPackage().getImplementationVersion()
            + ", Java " + System.getProperty("java.version"));
        Configuration configuration = configuration("");
        new SchemaUpdate(configuration).execute(false, true);
        factory = configuration.buildSessionFactory();
        step("the schema is made", counts("orders", "order_tag", "canary"), Arrays.asList(0, 0, 0));

        rowByRow();
        bulk();
        throughRelations();
        compositeKeys();
        rejected();

        System.out.println("# sent " + factory.getStatistics().getPrepareStatementCount() + " statements");
        factory.close();
        // what a test suite does when it is done
        new SchemaExport(configuration("&options=-c%20safeguard.destructive_ddl%3Drecord")).drop(false, true);
        factory = configuration.buildSessionFactory();
        step("dropped, in a session that allows it",
            counts("pg_tables WHERE schemaname = 'public'"), Arrays.asList(0));
        factory.close();
        System.exit(wrong == 0 ? 0 : 1);
    }

    static void rowByRow()
    {
        run(session ->
        {
            for (int t = 1; t <= 5; t++)
            {
                Tenant tenant = new Tenant();
                tenant.id = t;
                tenant.name = "tenant " + t;
                session.save(tenant);
                List<Tag> tags = new ArrayList<>();
                for (int g = 1; g <= 4; g++)
                {
                    Tag tag = new Tag();
                    tag.key = new Key(t, g);
                    tag.label = "tag " + g;
                    session.save(tag);
                    tags.add(tag);
                }
                for (int o = 1; o <= 8; o++)
                {
                    Order order = new Order();
                    order.key = new Key(t, o);
                    order.tags.addAll(tags.subList(0, o % 4));
                    order.notes.addAll(Arrays.asList("first", "second"));
                    for (int i = 1; i <= 3; i++)
                    {
                        Line line = new Line();
                        line.key = new LineKey(t, o, i);
                        line.order = order;
                        line.item = "item " + i;
                        line.amount = o * i;
                        order.lines.add(line);
                    }
                    session.save(order);
                }
                for (int n = 1; n <= 6; n++)
                {
                    Node node = n % 2 == 0 ? new Leaf() : new Node();
                    node.key = new Key(t, n);
                    node.parent = n == 1 ? null : n / 2;
                    session.save(node);
                }
            }
            for (int p = 1; p <= 10; p++)
            {
                Person person = new Person();
                person.name = "person " + p;
                person.active = p % 2 == 1;
                session.save(person);
            }
            for (int b = 1; b <= 4; b++)
            {
                Board board = new Board();
                board.name = "board " + b;
                session.save(board);
            }
            List<Board> boards = session.createQuery("from Board order by id").list();
            for (Object person : session.createQuery("from Person order by id").list())
                ((Person) person).boards.addAll(boards.subList(0, Integer.parseInt(((Person) person).name.substring(7)) % 5));
        });
        String[] tables = {"orders", "line", "order_note", "order_tag", "node", "leaf", "watcher"};
        step("written", counts(tables), Arrays.asList(40, 120, 80, 60, 30, 15, 20));

        run(session ->
        {
            Order order = (Order) session.get(Order.class, new Key(3, 7));
            order.state = "paid";
            order.lines.remove(1);
            order.lines.get(0).amount = 100;
            order.tags.remove(session.get(Tag.class, new Key(3, 2)));
            order.tags.add((Tag) session.get(Tag.class, new Key(3, 4)));
            order.notes.remove("first");        // a bag: all go, the rest comes again
            ((Order) session.get(Order.class, new Key(3, 6))).tags.clear();
            session.delete(session.get(Order.class, new Key(3, 5)));
            Leaf leaf = (Leaf) session.get(Leaf.class, new Key(3, 2));
            leaf.path = "/1/2";
            leaf.weight = 9;
            session.delete(session.get(Node.class, new Key(3, 6)));
            Person person = (Person) session.createQuery("from Person where name = 'person 4'").uniqueResult();
            person.boards.remove(person.boards.iterator().next());
        });
        step("changed, unlinked, deleted", counts(tables), Arrays.asList(39, 116, 77, 57, 29, 14, 19));

        Session a = factory.openSession(), b = factory.openSession();
        Order x = (Order) a.get(Order.class, new Key(1, 1)), y = (Order) b.get(Order.class, new Key(1, 1));
        a.beginTransaction();
        x.state = "mine";
        a.getTransaction().commit();
        b.beginTransaction();
        y.state = "yours";
        try
        {
            b.getTransaction().commit();
            step("a stale version", "written", "refused");
        }
        catch (StaleObjectStateException e)
        {
            b.getTransaction().rollback();
            step("a stale version is refused", counts("orders WHERE state = 'mine'"), Arrays.asList(1));
        }
        a.close();
        b.close();
    }

    static void bulk()
    {
        StatelessSession stateless = factory.openStatelessSession();
        stateless.beginTransaction();
        for (int t = 1; t <= 5; t++)
            for (int i = 1; i <= 50; i++)
            {
                Stock stock = new Stock();
                stock.key = new Key(t, i);
                stock.n = i;
                stateless.insert(stock);
                if (i % 10 == 0)
                {
                    stock.n = 1000;
                    stateless.update(stock);
                }
                if (i % 25 == 0)
                    stateless.delete(stock);
            }
        stateless.getTransaction().commit();
        stateless.close();
        step("a stateless session", counts("stock", "stock WHERE n = 1000", "stock WHERE gone"), Arrays.asList(250, 25, 10));

        // the driver prepares on the server what is executed often
        run(session -> session.doWork(connection ->
        {
            int changed = 0;
            try (PreparedStatement update = connection.prepareStatement(
                "UPDATE stock SET n = n + ? WHERE tenant_id = ? AND id = ?"))
            {
                for (int i = 1; i <= 20; i++)
                {
                    update.setInt(1, 1);
                    update.setInt(2, 1);
                    update.setInt(3, i);
                    changed += update.executeUpdate();
                }
                for (int i = 1; i <= 20; i++)
                {
                    update.setInt(1, 1);
                    update.setInt(2, 2);
                    update.setInt(3, i);
                    update.addBatch();
                }
                changed += Arrays.stream(update.executeBatch()).sum();
            }
            step("prepared and in batches", changed, 40);
            try (PreparedStatement upsert = connection.prepareStatement(
                "INSERT INTO stock (tenant_id, id, n, gone) VALUES (?, ?, ?, false)"
                + " ON CONFLICT (tenant_id, id) DO UPDATE SET n = EXCLUDED.n"))
            {
                for (int i = 41; i <= 60; i++)
                {
                    upsert.setInt(1, 5);
                    upsert.setInt(2, i);
                    upsert.setInt(3, -i);
                    upsert.addBatch();
                }
                upsert.executeBatch();
            }
            try (PreparedStatement some = connection.prepareStatement(
                "UPDATE stock SET gone = true WHERE tenant_id = ? AND id = ANY (?)"))
            {
                some.setInt(1, 5);
                some.setArray(2, connection.createArrayOf("int4", new Integer[] {1, 2, 3, 99}));
                step("an array of keys", some.executeUpdate(), 3);
            }
        }));
        step("upserted in batches", counts("stock", "stock WHERE n < 0"), Arrays.asList(260, 20));
    }

    static void throughRelations()
    {
        int[] hit = {
            hql("update Purchase o set o.total = (select sum(l.amount) from Line l"
                + " where l.key.tenant = o.key.tenant and l.key.order = o.key.id) where o.total = 0"),
            hql("update versioned Purchase o set o.state = 'big' where o.total > 30 and o.key.id < 100"),
            hql("update Line l set l.item = 'in' where (l.key.tenant, l.key.order) in"
                + " (select o.key.tenant, o.key.id from Purchase o where o.state = 'big')"),
            hql("update Line l set l.item = 'exists' where exists"
                + " (select 1 from Purchase o where o.key.tenant = l.key.tenant and o.key.id = l.key.order and o.state = 'big')"),
            hql("update Line l set l.item = 'exists' where exists (select 1 from Purchase o where o = l.order and o.state = 'big')"),
            hql("update Line l set l.item = 'one tenant' where l.key.tenant = 2 and l.key.order in"
                + " (select o.key.id from Purchase o where o.key.tenant = 2 and o.state = 'big')"),
            hql("update Purchase o set o.state = 'group' where o.key.tenant in (select t.id from Tenant t where t.name = 'tenant 4')"),
            hql("update Purchase o set o.state = 'tagged' where exists"
                + " (select 1 from Tag g join g.orders x where x.key.tenant = o.key.tenant and x.key.id = o.key.id and g.label = 'tag 3')"),
            hql("update Purchase o set o.state = 'tagless' where o.tags is empty"),
            hql("update Purchase o set o.state = 'many' where size(o.tags) > 2"),
            hql("update Purchase o set o.state = 'latest' where o.key.id ="
                + " (select max(x.key.id) from Purchase x where x.key.tenant = o.key.tenant)")
        };
        step("updates in HQL", Arrays.toString(hit), "[39, 15, 44, 44, 44, 9, 8, 10, 11, 10, 5]");

        // a class of two tables: the keys go into a temporary table first
        int[] two = {
            hql("update Node n set n.path = '/' where n.parent is null"),
            hql("update Leaf f set f.weight = 5 where f.path = '' and f.parent = 1"),
            hql("update Leaf f set f.weight = 7, f.path = 'heavy' where f.weight = 5"),
            hql("delete Leaf f where f.weight = 7 and f.path = 'heavy'"),
            hql("delete Node n where n.parent = 3")
        };
        step("a class of two tables", Arrays.toString(two), "[5, 4, 4, 4, 4]");
        step("and what is left of it", counts("node", "leaf", "leaf WHERE weight = 7"), Arrays.asList(21, 6, 0));

        int[] gone = {
            sql("DELETE FROM order_tag WHERE (tag_tenant_id, tag_id) IN (SELECT tenant_id, id FROM tag WHERE label = 'tag 2')"),
            sql("DELETE FROM order_tag j USING orders o WHERE o.tenant_id = j.tenant_id AND o.id = j.order_id AND o.state = 'many'"),
            sql("DELETE FROM order_note WHERE (tenant_id, order_id) IN"
                + " (SELECT tenant_id, order_id FROM line GROUP BY 1, 2 HAVING sum(amount) > 40)"),
            hql("delete Tag g where g.orders is empty"),
            hql("delete Line l where l.amount > 20"),
            hql("delete Line l where not exists (select 1 from Purchase o where o = l.order)"),
            sql("DELETE FROM watcher WHERE person_id IN (SELECT id FROM person WHERE NOT active)"),
            sql("DELETE FROM watcher w USING board b WHERE b.id = w.board_id AND b.name = 'board 1'"),
            hql("delete Person p where p.boards is empty and not p.active = true"),
            sql("DELETE FROM order_note n WHERE ctid NOT IN (SELECT min(ctid) FROM order_note GROUP BY tenant_id, order_id)")
        };
        step("cleaned up", Arrays.toString(gone), "[18, 21, 19, 15, 11, 0, 9, 4, 5, 29]");
    }

    static void compositeKeys()
    {
        long start = 1767225600000L, hour = 3600000L;
        run(session ->
        {
            for (int i = 1; i <= 6; i++)
            {
                Plant plant = new Plant();
                plant.id = i;
                plant.vendor = i % 2 == 1 ? "amber" : "blue";
                session.save(plant);
                for (int n = 1; n <= 10; n++)
                {
                    Point point = new Point();
                    point.key = new PointKey(i, n);
                    point.name = "point " + n;
                    session.save(point);
                    for (int h = 0; h < 5; h++)
                    {
                        Reading reading = new Reading();
                        reading.key = new ReadingKey(i, n, new Date(start + h * hour));
                        reading.value = h;
                        session.save(reading);
                    }
                }
            }
        });
        Function<String, Integer> since = text -> in(session ->
            session.createQuery(text).setTimestamp("at", new Date(start + hour)).executeUpdate());
        int[] hit = {
            hql("update Point p set p.name = 'one' where p.key.plant = 4 and p.key.id = 5"),
            hql("update Point p set p.name = 'three' where p.key.plant = 4 and p.key.id in (1, 2, 3)"),
            hql("update Point p set p.name = 'high' where p.key.plant = 4 and p.key.id in"
                + " (select q.key.id from Point q where q.key.plant = 4 and q.name = 'three')"),
            hql("update Point p set p.name = 'amber' where p.plant in (select s from Plant s where s.vendor = 'amber')"),
            hql("update Point p set p.name = 'Grid import' where p.key.id = 6 and exists"
                + " (select 1 from Plant s where s.id = p.key.plant and s.vendor = 'amber')"),
            hql("update Point p set p.name = 'pairs' where (p.key.plant, p.key.id) in"
                + " (select q.key.plant, q.key.id from Point q where q.plant.vendor = 'blue' and q.key.id > 8)"),
            hql("update Point p set p.value = (select max(r.value) from Reading r"
                + " where r.key.plant = p.key.plant and r.key.point = p.key.id)  where p.value = 0"),
            hql("update Reading r set r.value = 0 where exists (select 1 from Point p"
                + " where p.key.plant = r.key.plant and p.key.id = r.key.point and p.name = 'Grid import')"),
            since.apply("update Reading r set r.value = -1 where r.key.at = :at"),
            since.apply("delete Reading r where r.key.at < :at"),
            hql("delete Reading r where r.key.plant in (select s.id from Plant s where s.id > 4)"),
            hql("delete Point p where not exists"
                + " (select 1 from Reading r where r.key.plant = p.key.plant and r.key.point = p.key.id)")
        };
        step("keys of points", Arrays.toString(hit), "[1, 3, 3, 30, 3, 6, 60, 15, 60, 60, 80, 20]");
    }

    static void rejected()
    {
        run(session ->
        {
            for (int i = 1; i <= 6; i++)
                for (int n = 1; n <= 3; n++)
                {
                    Canary canary = new Canary();
                    canary.key = new PointKey(i, n);
                    session.save(canary);
                }
        });
        String incident = "update Canary c set c.name = 'wrong' where c.key.id in"
            + " (select d.key.id from Canary d join d.plant p where p.vendor = 'amber' and d.key.id = 3)";
        // Compared as entities, it puts the columns of the target in without their table's name, and those of
        // the subquery hide them: "l.order_id = id AND l.tenant_id = tenant_id" compares tenant_id with itself.
        String hidden = "update Purchase o set o.state = 'wrong' where exists"
            + " (select 1 from Line l where l.order = o and l.key.tenant = 1 and l.amount = 14)";
        step("half of the key, lost by Hibernate, is rejected",
            sqlstate(session -> session.createQuery(hidden).executeUpdate()), Arrays.asList("SG001", "orders", true));
        step("column by column it is right", hql(hidden.replace("l.order = o",
            "l.key.order = o.key.id and l.key.tenant = o.key.tenant")), 1);

        step("the canary is rejected with SG001", sqlstate(session -> session.createQuery(incident).executeUpdate()),
            Arrays.asList("SG001", "canary", true));
        run(session ->
        {
            session.createSQLQuery("SET LOCAL safeguard.composite_key = off").executeUpdate();
            step("and changes twice as much in a transaction that allows it",
                session.createQuery(incident).executeUpdate(), 6);
        });
        step("but not in the next", sqlstate(session -> session.createQuery(incident).executeUpdate()),
            Arrays.asList("SG001", "canary", true));
    }
}
