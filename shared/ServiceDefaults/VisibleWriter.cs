using System.Text;

namespace MailPipeline.ServiceDefaults;

/// <summary>What strangers wrote is shown so that it neither hides nor moves anything on the screen (<see cref="VisibleText"/>).</summary>
public sealed class VisibleWriter(TextWriter output) : TextWriter
{
    public override Encoding Encoding => output.Encoding;

    public override void Write(char value) => output.Write(value);

    public override void Write(string? value) => output.Write(Visible(value));

    public override void WriteLine(string? value) => output.WriteLine(Visible(value));

    public override Task WriteAsync(string? value) => output.WriteAsync(Visible(value));

    public override Task WriteLineAsync(string? value) => output.WriteLineAsync(Visible(value));

    public override void Flush() => output.Flush();

    private static string Visible(string? text) => string.Join('\n', (text ?? "").Split('\n').Select(VisibleText.Of));
}
