using System.Net.Sockets;
using System.Text;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.LineServer;

/// <summary>A Unix socket that a service listens on. Its file goes when the service stops; one that is killed leaves it behind.</summary>
/// <param name="Setting">That says where, for the operator.</param>
/// <param name="Path">The full path of its file.</param>
/// <param name="Mode">Who may connect: writing is the right to.</param>
public sealed record ListeningSocket(string Setting, string Path, UnixFileMode Mode)
{
    /// <summary>What the system has room for, the NUL behind it apart.</summary>
    public const int MaxPathBytes = 107;

    /// <summary>"No such device or address": what the system says to who opens a socket as a file. So it is told from any other file.</summary>
    private const int NotAFile = 6;

    public static bool IsPath(string path) =>
        path.Length > 1 && path[0] == '/' && !path.Any(char.IsControl) && Encoding.UTF8.GetByteCount(path) <= MaxPathBytes;

    /// <summary>Octal digits as chmod takes them, without set-user-id and its like; null where it is none.</summary>
    public static UnixFileMode? ParseMode(string text) =>
        text.Length is 3 or 4 && text.All(digit => digit is >= '0' and <= '7') && Convert.ToInt32(text, 8) is <= 511 and var mode ? (UnixFileMode)mode : null;

    /// <summary>The socket, bound, with its mode: nobody can connect before it is listened on.</summary>
    /// <exception cref="StartupException">The file is somebody else's, or cannot be made.</exception>
    internal Socket Bind()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            RemoveStale();
            socket.Bind(new UnixDomainSocketEndPoint(Path));
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(Path, Mode);
            return socket;
        }
        catch (Exception failure) when (failure is SocketException or IOException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new StartupException($"{Setting} is '{Path}', which cannot be listened on: {failure.Message}", failure);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private void RemoveStale()
    {
        if (!System.IO.Path.Exists(Path))
            return;
        if (!IsSocket())
            throw new StartupException($"{Setting} is '{Path}', where a file is that is no socket; it must be a path where nothing is");
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(Path));
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(Path);
            return;
        }
        catch (SocketException busy) when (busy.SocketErrorCode == SocketError.WouldBlock)
        {
            // Somebody listens, and has much to do.
        }

        throw new StartupException($"{Setting} is '{Path}', a socket on which another process listens; choose another path, or stop that process");
    }

    private bool IsSocket()
    {
        try
        {
            // To write as well: who opens a pipe to read alone waits for a writer.
            using var file = File.OpenHandle(Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            return false;
        }
        catch (IOException failure) when (failure.HResult == NotAFile)
        {
            return true;
        }
    }
}
