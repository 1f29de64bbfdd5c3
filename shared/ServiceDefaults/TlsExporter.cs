using System.Diagnostics;
using System.Net.Security;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The octets of tls-exporter (RFC 9266), which both ends of one TLS connection can compute and nobody between them. SslStream gives them to
/// nobody, so they are asked of the OpenSSL under it, by the handle that it holds. That handle is an inside of the runtime, of which nothing is
/// taken for granted: where it looks otherwise, or TLS is not OpenSSL's, there are no such octets, and the log says so once. Safe to ask from
/// any thread.
/// </summary>
public sealed partial class TlsExporter(ILogger<TlsExporter> logger)
{
    private const string ContextField = "_securityContext";
    private const string HandleType = "Microsoft.Win32.SafeHandles.SafeSslHandle";
    private const int Length = 32;

    private static readonly byte[] s_label = "EXPORTER-Channel-Binding"u8.ToArray();
    private static readonly FieldInfo? s_context = typeof(SslStream).GetField(ContextField, BindingFlags.Instance | BindingFlags.NonPublic);

    // Not before the first connection: only then is the library loaded that the runtime has chosen.
    private readonly Lazy<OpenSsl?> _openSsl = new(OpenSsl.Find);
    private int _isAbsent;
    private int _isLogged;

    /// <summary>Null where the connection has none. To be asked while nothing else is done with the stream.</summary>
    /// <param name="tls">With TLS 1.2 it is one that allows no renegotiation: behind that there would be others (RFC 9266 §4).</param>
    public byte[]? ChannelBinding(SslStream tls)
    {
        // A stream that was closed meanwhile says nothing about the runtime.
        if (Volatile.Read(ref _isAbsent) != 0 || !tls.IsAuthenticated)
            return null;
        byte[]? octets;
        string? fault;
        try
        {
            (octets, fault) = Export(tls);
        }
        catch (InvalidOperationException)
        {
            // Closed by another thread while it was asked (ObjectDisposedException is one of these).
            return null;
        }

        if (fault is not null && Interlocked.Exchange(ref _isLogged, 1) == 0)
            LogAbsent(logger, Environment.Version, fault);
        return octets;
    }

    /// <returns>No octets and no fault: of this connection there are none. A fault of the runtime's or the library's build is one of all connections.</returns>
    private (byte[]? Octets, string? Fault) Export(SslStream tls)
    {
        // RFC 9266 §4 speaks of TLS 1.2 and 1.3; where the system allows something older, it has none.
        if (tls.SslProtocol is not (SslProtocols.Tls12 or SslProtocols.Tls13))
            return (null, null);
        if (s_context?.GetValue(tls) is not SafeHandle ssl || ssl.GetType().FullName != HandleType)
            return OfAll($"SslStream holds no {HandleType} in {ContextField}");
        if (_openSsl.Value is not { } openSsl)
            return OfAll("no libssl was found, or more than one");
        if (!openSsl.Serves(ssl, tls))
            return OfAll("what SslStream says of its connection is not what its handle says");
        // RFC 9266 §4: before TLS 1.3 only where no two connections can have the same secret.
        if (tls.SslProtocol != SslProtocols.Tls13 && !openSsl.HasExtendedMasterSecret(ssl))
            return (null, null);
        // That says nothing about the next connection.
        return openSsl.Export(ssl, s_label, Length) is { } octets ? (octets, null) : (null, "OpenSSL exports nothing");

        (byte[]?, string?) OfAll(string fault)
        {
            Volatile.Write(ref _isAbsent, 1);
            return (null, fault);
        }
    }

    [LoggerMessage(6034, LogLevel.Warning, "Logins cannot be bound to TLS connections by tls-exporter with .NET {Version}: {Reason}")]
    private static partial void LogAbsent(ILogger logger, Version version, string reason);

    /// <summary>The library that the runtime has loaded for SslStream, and what of it is needed here. Each call holds the handle while it lasts.</summary>
    private sealed class OpenSsl
    {
        private const string Deleted = " (deleted)";
        private const int Tls12 = 0x0303;
        private const int Tls13 = 0x0304;
        private const int ExtendedMasterSecret = 122;

        private readonly VersionFunction _version;
        private readonly CipherFunction _cipher;
        private readonly CipherIdFunction _cipherId;
        private readonly ControlFunction _control;
        private readonly ExportFunction _export;

        private OpenSsl(nint library)
        {
            _version = Function<VersionFunction>("SSL_version");
            _cipher = Function<CipherFunction>("SSL_get_current_cipher");
            _cipherId = Function<CipherIdFunction>("SSL_CIPHER_get_protocol_id");
            _control = Function<ControlFunction>("SSL_ctrl");
            _export = Function<ExportFunction>("SSL_export_keying_material");

            T Function<T>(string name) => Marshal.GetDelegateForFunctionPointer<T>(NativeLibrary.GetExport(library, name));
        }

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate int VersionFunction(SafeHandle ssl);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate nint CipherFunction(SafeHandle ssl);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate ushort CipherIdFunction(nint cipher);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate nint ControlFunction(SafeHandle ssl, int command, nint argument, nint pointer);

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        private delegate int ExportFunction(
            SafeHandle ssl, [Out] byte[] octets, nuint length, [In] byte[] label, nuint labelLength, nint context, nuint contextLength, int usesContext);

        public static OpenSsl? Find()
        {
            using var process = Process.GetCurrentProcess();
            var loaded = process.Modules.Cast<ProcessModule>().Select(module => module.FileName)
                .Where(path => Path.GetFileName(path).StartsWith("libssl.so", StringComparison.Ordinal)).Distinct().ToArray();
            // Of two nobody knows whose the handles are. One that was replaced on disk is still found by its name.
            if (loaded is not [var path] || !NativeLibrary.TryLoad(File.Exists(path) ? path : Path.GetFileName(path).Replace(Deleted, "", StringComparison.Ordinal), out var library))
                return null;
            try
            {
                return new OpenSsl(library);
            }
            catch (EntryPointNotFoundException)
            {
                return null;
            }
        }

        /// <summary>The handle is that of the stream's connection: both say the same of it.</summary>
        public bool Serves(SafeHandle ssl, SslStream tls) =>
            _version(ssl) == (tls.SslProtocol == SslProtocols.Tls13 ? Tls13 : Tls12)
            && _cipher(ssl) is not 0 and var cipher && _cipherId(cipher) == (ushort)tls.NegotiatedCipherSuite;

        /// <summary>Of TLS 1.2: its secret was derived from the whole handshake (RFC 7627).</summary>
        public bool HasExtendedMasterSecret(SafeHandle ssl) => _control(ssl, ExtendedMasterSecret, 0, 0) == 1;

        /// <summary>RFC 5705, without a context. Null: it failed.</summary>
        public byte[]? Export(SafeHandle ssl, byte[] label, int length)
        {
            var octets = new byte[length];
            return _export(ssl, octets, (nuint)length, label, (nuint)label.Length, 0, 0, 0) == 1 ? octets : null;
        }
    }
}
