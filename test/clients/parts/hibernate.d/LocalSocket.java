import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import javax.net.SocketFactory;

/**
 * The server's socket in the file system, for a driver that knows TCP only.
 */
public class LocalSocket extends SocketFactory
{
    @Override
    public Socket createSocket()
    {
        return new Connection();
    }

    @Override
    public Socket createSocket(String host, int port)
    {
        throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress local, int localPort)
    {
        throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(InetAddress host, int port)
    {
        throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort)
    {
        throw new UnsupportedOperationException();
    }

    private static class Connection extends Socket
    {
        private SocketChannel channel;

        @Override
        public void connect(SocketAddress ignored, int timeout) throws IOException
        {
            channel = SocketChannel.open(StandardProtocolFamily.UNIX);
            channel.connect(UnixDomainSocketAddress.of(
                System.getenv("PGHOST") + "/.s.PGSQL." + System.getenv("PGPORT")));
        }

        @Override
        public InputStream getInputStream()
        {
            return Channels.newInputStream(channel);
        }

        @Override
        public OutputStream getOutputStream()
        {
            return Channels.newOutputStream(channel);
        }

        @Override
        public void close() throws IOException
        {
            if (channel != null)
                channel.close();
        }

        @Override
        public boolean isConnected()
        {
            return channel != null && channel.isConnected();
        }

        @Override
        public boolean isClosed()
        {
            return channel != null && !channel.isOpen();
        }

        @Override
        public void setTcpNoDelay(boolean on)
        {
        }

        @Override
        public void setKeepAlive(boolean on)
        {
        }

        @Override
        public void setSoTimeout(int timeout)
        {
        }

        @Override
        public int getSoTimeout()
        {
            return 0;
        }

        @Override
        public int getSendBufferSize()
        {
            return 8192;
        }
    }
}
